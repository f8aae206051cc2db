"""Restoring a recorded day, byte for byte, from the bucket and the Git origin alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain.archive import entry, recorded_environment, recorded_locks
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
from retrain.store.remote import Remote, md5_of
from retrain.work import git
from retrain.work.dvc import configuration, deployment_dvc
from retrain.work.dvc.outputs import Output
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.project_root import project_root
from retrain.work.run_environment import import_folders, lay_over
from retrain.work.service_credentials import Credentials
from retrain.work.whole_checkout import whole_checkout

_HEADROOM = 64 * 2**20  # bytes, for the checkout itself


@dataclass(frozen=True)
class Restored:
    """A restored run: its folder, the verified files of its outputs with their size in bytes, and its environment's folder.

    `environment` is None when it was left out. `inputs`: how many files of the day's raw data were laid. `unstored`: the paths of
    outputs with `cache: false` or `push: false`, which are on no remote; the folder has them not, or as they are in the commit.
    """

    path: Path
    files: int
    bytes: int
    environment: Path | None
    inputs: int = 0
    unstored: tuple[str, ...] = ()


def restore(
    record: RunRecord,
    ledger: Ledger,
    remote: Remote,
    repository: Repository,
    credentials: Credentials,
    to: Path,
    *,
    mirrors: Path,
    environments: Path | None,
    tools: Path,
    raw: RawObjects | None,
    progress: Progress = lambda _done, _total: None,
) -> Restored:
    """Write a recorded run to the empty folder `to`: code, the day's inputs and params, every dvc.lock and output, its environment.

    All lie where the run had them: `run.yaml` and `manifest.json` in the recorded `repository.folder`, the rest below the top of
    its DVC project.

    Args:
        record: the run.
        ledger: the ledger that holds its entry.
        remote: the DVC remote that holds its outputs.
        repository: the section of the pipeline's file about its Git origin.
        credentials: those of the pipeline, with its Git origin.
        to: an empty folder, or one that does not exist yet.
        mirrors: the folder with the mirrors of Git origins; that of the origin is made if it does not exist.
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
    outputs, locks = entry.outputs(record, ledger), recorded_locks.recorded(record, ledger)
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
        built = recorded_environment.provide(record, ledger, repository, environments, credentials)
    _check_out(record, manifest, credentials, mirrors, to, laid=raw is not None)
    project = project_root(to, manifest.settings.folder)
    for name in ("run.yaml", "manifest.json"):
        (to / manifest.settings.folder / name).write_bytes(ledger.file(record, name))
    laid = _prepare(project, manifest, tools, raw)
    recorded_locks.write(locks, project)
    size = fetch(remote, outputs, files, project, progress)
    _name_cache(project)
    if built is not None:
        # Not a link to the shared environment: what somebody installs into it must not reach other days.
        lay_over(built, to / ".venv", import_folders(to / manifest.settings.folder))
    return Restored(
        to, len(files), size, built.path if built else None, laid, tuple(_unstored(record, outputs, project))
    )


def _unstored(record: RunRecord, stored: list[Output], project: Path) -> Iterator[str]:
    """The recorded outputs that were not restored, and that the commit does not have with the same content either."""
    known = {output.path for output in stored}
    for path, md5 in sorted(record.outputs.items()):
        if path not in known and not ((project / path).is_file() and md5_of(project / path) == md5):
            yield path


def _check_out(
    record: RunRecord, manifest: Manifest, credentials: Credentials, mirrors: Path, to: Path, *, laid: bool
) -> None:
    """Write the files of the run's commit, with those of its submodules and in Git LFS, which no mirror is needed for later."""
    paths = [each.path for each in manifest.settings.inputs] if laid else []
    with credentials.origin() as origin:
        release, top = Release(record.release, record.commit), manifest.settings.folder
        mirror = git.mirror(origin, release, mirrors, folder=top)
        whole_checkout(mirror, record.commit, to, origin, standalone=True, folder=top, laid=paths)


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


def _name_cache(project: Path) -> None:
    """Point DVC to the restored cache: the release's own configuration may name a folder that this machine does not have."""
    folder = project / ".dvc"
    folder.mkdir(exist_ok=True)
    (folder / "config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")


def _prepare(project: Path, manifest: Manifest, tools: Path, raw: RawObjects | None) -> int:
    """Lay the inputs and set or compose the params of a run in its DVC project; returns how many files were laid."""
    if not manifest.settings.inputs and not manifest.settings.params and not configuration.names_hydra(project):
        return 0
    own = deployment_dvc.provide(tools)
    dvc = Dvc.of(project, own, own, project / ".dvc" / "cache", {}).aimed(manifest.settings)
    done = prepared.prepare(project, manifest, dvc, raw)
    return sum(each.files for each in done.inputs)
