"""One run of the housekeeping: its limits, its time, and the pipelines that are deployed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from retrain.airflow.adapters import services
from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import HousekeepingError, RetrainError
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.services import Services
from retrain.work import workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HousekeepingRun:
    """`services` are those of the deployed pipelines. `broken` says by pipeline why its file cannot be read."""

    limits: HousekeepingLimits
    dry_run: bool
    now: datetime
    services: Mapping[str, Services]
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The shared volume, RETRAIN_HOME."""
        return workspace.home()

    def days_ago(self, days: int) -> float:
        """A moment in the past, in seconds since the epoch as the times of files are."""
        return (self.now - timedelta(days=days)).timestamp()

    def cleaned(self, places: list[CleanedPlace]) -> Cleaned:
        """The result of a task, which is also logged in one line."""
        result = Cleaned(self.dry_run, tuple(places))
        log.info("%s", result.line())
        return result

    def each_pipeline(self, clean: Callable[[Services], CleanedPlace]) -> Cleaned:
        """Clean pipeline after pipeline. The failure of one does not keep the others from being cleaned.

        Raises:
            HousekeepingError: some pipelines were not cleaned; it names each with its reason.
        """
        places = [
            CleanedPlace(name, Amount(), Amount(), f"not cleaned: {why}") for name, why in sorted(self.broken.items())
        ]
        failed: dict[str, Exception] = {}
        for name, known in sorted(self.services.items()):
            try:
                places.append(clean(known))
            except Exception as error:  # such as Airflow's own for a missing connection; it is raised at the end
                log.exception("%s is not cleaned", name)
                failed[name] = error
        result = self.cleaned(places)
        if failed:
            reasons = " ".join(f"{name}: {str(error).rstrip('.')}." for name, error in failed.items())
            raise HousekeepingError(
                f"{len(failed)} of {len(self.services)} pipelines were not cleaned. {reasons} Of the others: {result.line()}"
            ) from next(iter(failed.values()))
        return result


def begin(
    limits: HousekeepingLimits,
    params: Mapping[str, Any],
    pipelines: Path,
    services_of: Callable[[Deployment], Services] = services,
) -> HousekeepingRun:
    """A run with the params `dry_run` and `keep_days` of its DAG run.

    Args:
        limits: the limits of the file; the param `keep_days` takes the place of theirs if it is given.
        params: the params.
        pipelines: the folder with the pipelines' files.
        services_of: makes the services of a pipeline.

    Raises:
        HousekeepingError: the folder has no pipeline's file, so that every pipeline would be taken for one that is gone.
    """
    if params.get("keep_days"):
        limits = limits.model_copy(update={"keep_days": params["keep_days"]})
    found: dict[str, Services] = {}
    broken: dict[str, str] = {}
    for file in sorted(pipelines.glob("*.yaml")):
        try:
            found[file.stem] = services_of(load(file, calendar=False))
        except RetrainError as error:  # its own DAG reports it
            log.warning("the file of %s cannot be read, so its caches are not cleaned: %s", file.stem, error)
            broken[file.stem] = str(error)
    if not found and not broken:
        raise HousekeepingError(f"{pipelines} has no pipeline's file. Nothing was removed. Correct RETRAIN_PIPELINES.")
    return HousekeepingRun(limits, bool(params.get("dry_run")), datetime.now(UTC), found, broken)
