"""Restoring a recorded day, byte for byte, from the bucket and the Git origin alone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from retrain.archive import entry, recorded_environment
from retrain.deployment.sections import Repository
from retrain.errors import DiskFullError, GoneError, OverwrittenError, PrunedRunError, RestoreTargetError
from retrain.inputs import prepared
from retrain.inputs.errors import RawObjectGoneError
from retrain.inputs.raw_cache import RawObjects
from retrain.run.manifest import Manifest
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts
from retrain.store.fetch import Progress, fetch, require_files
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.work import git
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment

_HEADROOM = 64 * 2**20  # bytes, for the checkout itself


@dataclass(frozen=True)
class Restored:
    """A restored run: its folder, the verified files of its outputs with their size in bytes, and its environment's folder.

    `environment` is None when it was left out. `inputs`: how many files of the day's raw data were laid.
    """

    path: Path
    files: int
    bytes: int
    environment: Path | None
    inputs: int = 0


def restore(
    record: RunRecord,
    ledger: Ledger,
    remote: Remote,
    repository: Repository,
    to: Path,
    *,
    mirror: Path,
    environments: Path | None,
    tools: Path,
    raw: RawObjects | None,
    progress: Progress = lambda _done, _total: None,
) -> Restored:
    """Write a recorded run to the empty folder `to`: code, the day's inputs and params, dvc.lock, every output, its environment.

    Args:
        record: the run.
        ledger: the ledger that holds its entry.
        remote: the DVC remote that holds its outputs.
        repository: the Git origin of its release.
        to: an empty folder, or one that does not exist yet.
        mirror: the local mirror of the origin; made if it does not exist.
        environments: the folder in which environments are built; None leaves the environment out.
        tools: the folder in which the deployment's own DVC is installed, if inputs were laid or params set.
        raw: where the raw objects of the recorded inputs come from; None leaves the inputs out.
        progress: called with the files written so far and all files.

    Raises:
        RestoreTargetError: `to` is not empty. Nothing was written.
        DiskFullError: the disk has too little space. Nothing was written.
        GoneError: objects are missing on the remote; each is named by its path. Nothing was written.
        PrunedRunError: they are missing because a prune removed them. Nothing was written.
        EnvironmentGoneError: a package of the environment is not available any more. Nothing was written; with `environments`
            None the rest can be restored.
        RawObjectGoneError: raw objects of its inputs do not exist any more. Nothing was written; with `raw` None the rest
            can be restored.
        TamperedError: an object has other content than was recorded.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RestoreTargetError(f"{to} is not an empty folder. Nothing was written. Name another DEST.")
    existing = next(parent for parent in [to, *to.parents] if parent.exists())
    manifest = ledger.manifest(record.spec)
    raw_size = prepared.size_of_inputs(manifest) if raw else 0
    free, needed = shutil.disk_usage(existing).free, 2 * record.size + raw_size + _HEADROOM
    if free < needed:
        raise DiskFullError(
            f"{existing} has {free:,} bytes free, {record.partition} needs {needed:,}. Nothing was written."
        )
    outputs = entry.outputs(record, ledger)
    try:
        files = require_files(remote, outputs)
    except GoneError as error:
        if ledger_facts.is_pruned(ledger, record.spec):
            raise PrunedRunError(
                f"The objects of {record.partition} ({record.run_key[:12]}) were removed by make prune. Nothing was written. "
                "A backfill of the day computes and stores them again; make replay computes it without storing anything."
            ) from error
        raise
    built = None
    # Before anything is written: if an object or a package is gone, `to` is still empty for another try without it.
    _require_raw(record, manifest, raw)
    if environments is not None:
        built = recorded_environment.provide(record, ledger, repository, environments)
    bare = git.mirror(repository.url, Release(record.release, record.commit), mirror)
    git.checkout(bare, record.commit, to, standalone=True)
    for name in ("run.yaml", "manifest.json"):
        (to / name).write_bytes(ledger.file(record, name))
    laid = _prepare(to, manifest, tools, raw)
    (to / "dvc.lock").write_bytes(ledger.file(record, "dvc.lock"))
    size = fetch(remote, outputs, files, to, progress)
    if built is not None:
        (to / ".venv").symlink_to(built.path)
    return Restored(to, len(files), size, built.path if built else None, laid)


def _require_raw(record: RunRecord, manifest: Manifest, raw: RawObjects | None) -> None:
    """Fetch the raw objects of the run's inputs into the cache."""
    if raw is None:
        return
    try:
        prepared.provide(manifest, raw)
    except (RawObjectGoneError, OverwrittenError) as error:
        raise RawObjectGoneError(
            f"The raw data of {record.partition} is gone: {error} Nothing was written. NO_INPUTS=1 restores everything else."
        ) from error


def _prepare(to: Path, manifest: Manifest, tools: Path, raw: RawObjects | None) -> int:
    """Lay the inputs and set the params of a run; returns how many files were laid."""
    if not manifest.settings.inputs and not manifest.settings.params:
        return 0
    own = environment.provide(DEPLOYMENT_DVC, tools)
    done = prepared.prepare(to, manifest, Dvc.of(to, own, own, to / ".dvc" / "cache", {}), raw)
    return sum(each.files for each in done.inputs)
