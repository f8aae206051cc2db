"""A day reproduced in its checkout: prepared, run by DVC, and described afterwards. The daily run and `make try` share it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.errors import DvcLockError
from retrain.inputs import day_dependence, fetching, stage_programs, tracked_data
from retrain.inputs.checkout_files import files_in
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.errors import MissingProgramError
from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.inputs.prepared import Prepared, prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.tracked_data import TrackedSources
from retrain.run.manifest import Manifest
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.progress import FinishedRepro
from retrain.work.dvc.project_root import place_in_project


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
    tracked: TrackedSources,
    *,
    release: str,
    static: Iterable[str],
    timeout: float,
    kept: FetchedOutputs | None,
) -> ReproducedDay:
    """Prepare a checkout for its day, run `dvc repro`, and describe the outcome.

    Args:
        checkout: the top of the DVC project in the checkout of the run's commit, with `run.yaml` and `manifest.json`.
        manifest: the raw objects and the settings of the run.
        dvc: DVC in that checkout, already configured.
        raw: where the raw objects come from.
        tracked: where the data of .dvc files and frozen stages comes from.
        release: names the release in an error.
        static: the stages whose outputs are meant to be the same every day, as in the pipeline's file.
        timeout: the longest time of all calls of `dvc repro`, in seconds.
        kept: what earlier attempts of the run have fetched; None for a run that keeps nothing.

    Raises:
        ReleaseError: DVC refuses the checkout, it does not lead to the data of a .dvc file or a frozen stage, a stage changes such data,
            or its model does not depend on the day.
        MissingProgramError: the worker lacks a program that a stage starts. No stage was started.
        RetrainError: tracked data cannot be fetched, as `tracked_data.bring` says.
        RetrainError: a stage failed; the class names the cause if the output shows it.
        DvcLockError: a dvc.lock is missing, or does not fit DVC's description of the checkout.
        CorruptCacheError: the listing of tracked data in the cache has wrong content.
    """
    dvc = dvc.aimed(manifest.settings)
    prepared = prepare(checkout, manifest, dvc, raw)
    brought = tracked_data.bring(dvc, prepared.description, tracked, release, timeout)
    prepared = replace(prepared, description=brought.description, tracked=brought.lines)
    place = place_in_project(checkout, manifest.settings.folder)
    day = DayDependence.of(prepared.description, manifest.settings, static, files_in(checkout), place)
    day_dependence.require(day, release)
    require_programs(prepared.description, dvc)
    done = fetching.reproduce(dvc, prepared.description, manifest.settings.fetch, timeout, kept)
    described = dvc.describe()
    tracked_data.require_unchanged(dvc, brought, described, release)
    _require_described(described, checkout)
    return ReproducedDay(prepared, done, described)


def require_programs(described: Description, dvc: Dvc) -> None:
    """Check that the shell of the stages finds the programs that they start, as far as their commands show them.

    Raises:
        MissingProgramError: it does not find some; the message names all of them, with their stages.
    """
    if lacking := lacking_programs(described, dvc):
        raise MissingProgramError(
            f"This worker lacks {lacking}. No stage was started. Install them on the workers, or name "
            "the queue of workers that have them under queue in the pipeline's file. A program of a Python package belongs into the "
            "release's environment."
        )


def lacking_programs(described: Description, dvc: Dvc) -> str:
    """The programs of the stages that their shell does not find on this machine, with their stages; empty if there are none."""
    needed = stage_programs.needed(described.stages)
    return stage_programs.listed(dvc.lacks(sorted(needed)), needed)


def _require_described(described: Description, checkout: Path) -> None:
    """Check that the description names every output of each dvc.lock, so that `push` proves all of them.

    Raises:
        DvcLockError: a dvc.lock is missing, or names an output that the description does not.
    """
    known = {output.md5 for output in described.outputs}
    reached = [stage for stage in described.stages if stage.reached]
    if not reached:
        raise DvcLockError("dvc repro has run no stage, so there is nothing to prove. Add a stage in a new release.")
    for file in sorted({stage.file for stage in reached}):
        lock = (checkout / file).with_suffix(".lock")
        if not lock.is_file():
            raise DvcLockError(
                f"The dvc.lock of {file} is missing after dvc repro, which ran without an error. Clear reproduce; if it is missing "
                "again, check that no stage removes it."
            )
        # `dvc repro` does not touch stages that it does not reach; a frozen one stays in dvc.lock.
        left = {each.name.rpartition(":")[2] for each in described.stages if each.file == file and not each.reached}
        for stage, path, md5 in dvc_lock_outputs(lock.read_text(encoding="utf-8")):
            if md5 not in known and stage not in left:
                raise DvcLockError(
                    f"The dvc.lock of {file} has {path} of stage {stage} ({md5}), which is not in DVC's description of the "
                    "checkout. Remove stages that no longer exist from it in a new release."
                )
