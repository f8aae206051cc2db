"""A day reproduced in its checkout: prepared, run by DVC, and described afterwards. The daily run and `make try` share it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import DvcLockError
from retrain.inputs import day_dependence, fetching
from retrain.inputs.checkout_files import files_in
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.inputs.prepared import Prepared, prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.run.manifest import Manifest
from retrain.work.dvc import tracked_inputs
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.progress import FinishedRepro


@dataclass(frozen=True)
class ReproducedDay:
    """The checkout as it was prepared, its finished `dvc repro`, and DVC's description of the outcome."""

    prepared: Prepared
    done: FinishedRepro
    description: Description


def reproduce_day(
    checkout: Path,
    manifest: Manifest,
    dvc: Dvc,
    raw: RawObjects,
    *,
    release: str,
    static: Iterable[str],
    timeout: float,
    kept: FetchedOutputs | None,
) -> ReproducedDay:
    """Prepare a checkout for its day, run `dvc repro`, and describe the outcome.

    Args:
        checkout: the checkout of the run's commit, with `run.yaml` and `manifest.json`.
        manifest: the raw objects and the settings of the run.
        dvc: DVC in that checkout, already configured.
        raw: where the raw objects come from.
        release: names the release in an error.
        static: the stages whose outputs are meant to be the same every day, as in the pipeline's file.
        timeout: the longest time of all calls of `dvc repro`, in seconds.
        kept: what earlier attempts of the run have fetched; None for a run that keeps nothing.

    Raises:
        ReleaseError: DVC refuses the checkout, it needs data of a .dvc file or a frozen stage, or its model does not depend on the day.
        RetrainError: a stage failed; the class names the cause if the output shows it.
        DvcLockError: a dvc.lock is missing, or does not fit DVC's description of the checkout.
    """
    prepared = prepare(checkout, manifest, dvc, raw)
    tracked_inputs.require_none(prepared.description, release)
    tracked_inputs.require_frozen_outputs(prepared.description, dvc.cache, release)
    day = DayDependence.of(prepared.description, manifest.settings, static, files_in(checkout))
    day_dependence.require(day, release)
    done = fetching.reproduce(dvc, prepared.description, manifest.settings.fetch, timeout, kept)
    described = dvc.describe()
    _require_described(described, checkout)
    return ReproducedDay(prepared, done, described)


def _require_described(described: Description, checkout: Path) -> None:
    """Check that the description names every output of each dvc.lock, so that `push` proves all of them.

    Raises:
        DvcLockError: a dvc.lock is missing, or names an output that the description does not.
    """
    known = {output.md5 for output in described.outputs}
    for file in sorted({"dvc.yaml", *(stage.file for stage in described.stages if stage.reached)}):
        lock = (checkout / file).with_suffix(".lock")
        if not lock.is_file():
            raise DvcLockError(
                f"{lock.name} of {file} is missing after dvc repro: no stage was run. Add a stage in a new release."
            )
        # `dvc repro` does not touch stages that it does not reach; a frozen one stays in dvc.lock.
        left = {each.name.rpartition(":")[2] for each in described.stages if each.file == file and not each.reached}
        for stage, path, md5 in dvc_lock_outputs(lock.read_text(encoding="utf-8")):
            if md5 not in known and stage not in left:
                raise DvcLockError(
                    f"{lock.name} of {file} has {path} of stage {stage} ({md5}), which is not in DVC's description of the "
                    "checkout. Remove stages that no longer exist from it in a new release."
                )
