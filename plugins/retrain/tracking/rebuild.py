"""MLflow's records again after it lost them, from the ledger and the store. It only adds: a second time does nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retrain.archive import entry
from retrain.errors import RetrainError, TrackingError
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.store import fetch as restore
from retrain.store import ledger_facts
from retrain.store.ledger import Ledger
from retrain.tracking import tracked_run
from retrain.tracking.server import Tracking
from retrain.tracking.tracked_run import TrackedRun
from retrain.work.dvc.description import Description

# A version's number is MLflow's own and cannot be asked for: what it was called in messages and promotions is a tag.
RECORDED_VERSION = "recorded_version"
PROMOTIONS = "promotions"
_AT_ONCE = 8
_DOCUMENTS = ("dvc.lock", "run.yaml", "manifest.json")

# What DVC says of a recorded run whose entry has no description, in an empty folder.
Describe = Callable[[RunRecord, Path], Description]


@dataclass(frozen=True)
class Lost:
    """A record that MLflow does not hold whole.

    `run_id` where its run is there and something of it is not; `version` the number that its model version had.
    """

    record: RunRecord
    run_id: str | None
    version: str | None


@dataclass(frozen=True)
class Rebuilt:
    """A run that MLflow holds again, as which version it was recorded, and what the store never had of it."""

    partition: str
    run_key: str
    run_id: str
    version: str | None
    recorded_version: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class NotRebuilt:
    """A run that MLflow cannot be given again, and why."""

    partition: str
    run_key: str
    why: str


@dataclass(frozen=True)
class Alias:
    """Where the champion's alias is now. `well` unless the ledger names a champion and there is none."""

    well: bool
    said: str


def plan(records: Iterable[RunRecord], services: Services) -> list[Lost]:
    """The records that MLflow does not hold whole, in the order of their recording, so that versions count as they did.

    A run is whole with its three documents' folder, its model's folder, and its model version. Runs whose objects were pruned
    are left out. Two or three requests a run.
    """
    tracking, tracked = services.tracking, services.deployment.tracking
    pruned = ledger_facts.pruned(services.ledger, services.pipeline)
    held = tracking.finished(tracked.experiment, tracked.model)

    def lost(record: RunRecord) -> Lost | None:
        where = ledger_facts.mirrored(services.ledger, record, first=True)
        found, version = held.get(record.run_key), where.model_version if where else None
        has_model = tracked.model is not None and (version is not None or where is None)
        if found is None:
            return Lost(record, None, version)
        whole = (found.model_version or not has_model) and tracking.has_artifacts(
            found.run_id, ["run", "model"] if found.model_version else ["run"]
        )
        return None if whole else Lost(record, found.run_id, version)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [each for each in pool.map(lost, (r for r in records if r.run_key not in pruned)) if each is not None]
    return sorted(found, key=lambda loss: (loss.record.recorded_at, int(loss.version or 0), loss.record.partition))


def rebuild(
    losses: Sequence[Lost],
    services: Services,
    describe: Describe,
    *,
    scratch: Path | None = None,
    progress: restore.Progress = lambda _done, _total: None,
) -> Iterator[Rebuilt | NotRebuilt]:
    """Log each of these runs in MLflow. One whose documents or objects are gone is passed over, with the reason.

    Raises:
        TrackingError: MLflow itself does not answer. What was logged stays; a second time goes on from there.
    """
    for done, loss in enumerate(losses, start=1):
        outcome: Rebuilt | NotRebuilt
        try:
            outcome = _log_again(loss, services, describe, scratch)
        except TrackingError:
            raise
        except RetrainError as error:
            outcome = NotRebuilt(loss.record.partition, loss.record.run_key, f"{type(error).__name__}: {error}")
        progress(done, len(losses))
        yield outcome


def _log_again(loss: Lost, services: Services, describe: Describe, scratch: Path | None) -> Rebuilt:
    record, tracking = loss.record, services.tracking
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=scratch) as folder:
        run, left_out = _bring_back(record, services, describe, Path(folder))
        if loss.run_id is not None:
            tracking.reopen(loss.run_id)
        where = tracked_run.record(
            tracking,
            services.deployment,
            run,
            at=datetime.fromisoformat(record.recorded_at),
            version_tags={RECORDED_VERSION: loss.version} if loss.version else None,
        )
    ledger_facts.mirror(services.ledger, record.spec, where)
    return Rebuilt(record.partition, record.run_key, where.run_id, where.model_version, loss.version, left_out)


def _bring_back(
    record: RunRecord, services: Services, describe: Describe, folder: Path
) -> tuple[TrackedRun, tuple[str, ...]]:
    """What MLflow holds of a run, below `folder`: documents from the ledger, model and reports from the store, no data."""
    ledger, checkout, receipt = services.ledger, folder / "checkout", folder / "receipt.json"
    checkout.mkdir()
    for name in _DOCUMENTS:
        (checkout / name).write_bytes(ledger.file(record, name))
    receipt.write_text(ledger.committed_receipt(record).to_json(), encoding="utf-8")
    described = entry.description(record, ledger) or describe(record, folder / "described")
    paths = tracked_run.paths_of(services.deployment, described)
    wanted = described.within(paths, entry.outputs(record, ledger))
    restore.fetch(services.remote, wanted, restore.require_files(services.remote, wanted), checkout)
    present = replace(
        described,
        metrics={path: values for path, values in described.metrics.items() if (checkout / path).exists()},
        plots=tuple(path for path in described.plots if (checkout / path).exists()),
    )
    run = TrackedRun(
        record.spec,
        record.dag_run,
        record.mode,
        record.environment,
        record.metrics,
        ledger.manifest(record.spec).root,
        present,
        checkout,
        receipt,
    )
    return run, tuple(
        path for path in described.metrics | dict.fromkeys(described.plots) if not (checkout / path).exists()
    )


def champion(tracking: Tracking, model: str, ledger: Ledger, pipeline: str) -> Alias:
    """Set the champion's alias as the newest promotion says, found by its run key. An alias that is there stays."""
    newest = ledger.newest_daily_event(pipeline, PROMOTIONS)
    if newest is None:
        return Alias(well=True, said="No promotion is in the ledger, so there is no champion.")
    partition, promotion = newest[0][: len("YYYY-MM-DD")], newest[1]
    run_key = str(promotion["run_key"])
    named = f"{partition} ({run_key[:12]})"
    present = tracking.champion(model)
    if present is not None:
        said = f"The champion is version {present['version']}, of {present.get('partition')}."
        if present.get("run_key") != run_key:
            said = f"{said} The newest promotion in the ledger is of {named}: the alias was left where it is."
        return Alias(well=True, said=said)
    version = tracking.version_of(model, run_key)
    if version is None:
        return Alias(
            well=False,
            said=f"There is no champion: the newest promotion is of {named}, of which MLflow has no version. Rebuild that run too.",
        )
    tracking.promote(model, version)
    return Alias(
        well=True,
        said=f"The champion is version {version} again, of {named}; promoted as version {promotion['to']}.",
    )
