"""A workspace: the checkout of one attempt, which no other attempt reads or writes."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import ConfigurationError, DiskFullError
from retrain.run.manifest import Manifest
from retrain.run.release import Release
from retrain.run.run_spec import RunSpec
from retrain.work import git, volume
from retrain.work.dvc.project_root import project_root
from retrain.work.origin import Origin
from retrain.work.whole_checkout import whole_checkout

log = logging.getLogger(__name__)

_PROJECT = "project"  # a link to the top of the DVC project, unless that is the checkout itself
_RUN_FOLDER = "run-folder"  # a link to `repository.folder` of the run, unless that is the checkout itself
_OF_RUN = re.compile(r".*-[0-9a-f]{8}")


def home() -> Path:
    """The volume that all workers share, RETRAIN_HOME: mirrors, workspaces, DVC cache, environments.

    Raises:
        ConfigurationError: RETRAIN_HOME is not set, or is no absolute path. An empty one would be the current folder.
    """
    named = Path(os.environ.get("RETRAIN_HOME", ""))
    if not named.is_absolute():
        raise ConfigurationError(
            f"RETRAIN_HOME is {os.environ.get('RETRAIN_HOME')!r}. Set it to the absolute path of the volume that all workers share."
        )
    return named


def mirrors() -> Path:
    """The folder of the mirrors of all Git origins on the shared volume."""
    return home() / "git"


@dataclass(frozen=True)
class Workspace:
    """`path` has the checkout, and beside it our files about it."""

    path: Path

    @property
    def checkout(self) -> Path:
        return self.path / "checkout"

    @property
    def project(self) -> Path:
        """The top of the DVC project in the checkout, where DVC runs: see `project_root`."""
        return (self.path / _PROJECT).resolve() if (self.path / _PROJECT).is_symlink() else self.checkout

    @property
    def run_folder(self) -> Path:
        """The folder of the checkout with `run.yaml` and `manifest.json`."""
        return (self.path / _RUN_FOLDER).resolve() if (self.path / _RUN_FOLDER).is_symlink() else self.checkout

    @property
    def description(self) -> Path:
        """The file with DVC's description of the checkout after its `dvc repro`."""
        return self.path / "description.json"

    def write(self, name: str, text: str) -> Path:
        """Write a file beside the checkout."""
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        return file

    def scratch(self, name: str) -> Path:
        """A folder beside the checkout, made if it does not exist."""
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        return folder


def create(origin: Origin, spec: RunSpec, manifest: Manifest, *, dag_run: str, min_free_mb: int) -> Workspace:
    """Make a new checkout of the spec's commit with `run.yaml` and `manifest.json`, for one attempt.

    Raises:
        DiskFullError: less than `min_free_mb` megabytes are free. It is checked before anything is written.
        OriginError: the origin does not answer, or does not have the commit.
        NotAPipelineError: the commit has no dvc.yaml.
    """
    home().mkdir(parents=True, exist_ok=True)
    require_space(home(), min_free_mb)
    folder = manifest.settings.folder
    mirror = git.mirror(origin, Release(spec.release, spec.commit), mirrors(), folder=folder)
    workspace = new_attempt(spec.pipeline, dag_run, spec.run_key[:12])
    try:
        check_out(workspace, mirror, origin, spec, manifest)
    except BaseException:
        discard(workspace)
        raise
    return workspace


def new_attempt(pipeline: str, dag_run: str, prefix: str) -> Workspace:
    """Make an empty workspace for one attempt of a DAG run. The housekeeping removes it when it is abandoned."""
    folder = of_run(pipeline, dag_run)
    folder.mkdir(parents=True, exist_ok=True)  # right before its first file: the housekeeping removes one that is old
    return Workspace(Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=folder)))


def check_out(workspace: Workspace, mirror: Path, origin: Origin, spec: RunSpec, manifest: Manifest) -> None:
    """Make the checkout of the spec's commit, with `run.yaml` and `manifest.json` in the settings' folder.

    `mirror` is the origin's mirror, which has the commit.

    Raises:
        OriginError: Git failed, or a submodule or a file in Git LFS cannot be fetched.
        ReleaseError: the release has a submodule or a file in Git LFS that cannot be used here.
        NotAPipelineError: the commit does not have the settings' folder.
    """
    folder, laid = manifest.settings.folder, [each.path for each in manifest.settings.inputs]
    whole_checkout(mirror, spec.commit, workspace.checkout, origin, folder=folder, laid=laid)
    root = project_root(workspace.checkout, folder)
    for link, place in ((_PROJECT, root), (_RUN_FOLDER, workspace.checkout / folder)):
        if place != workspace.checkout:
            (workspace.path / link).symlink_to(place.relative_to(workspace.path))
    (workspace.run_folder / "run.yaml").write_text(spec.run_yaml(), encoding="utf-8")
    (workspace.run_folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")


def require_space(folder: Path, min_free_mb: int) -> None:
    """Make sure that `min_free_mb` megabytes (2**20 bytes) are free on the disk of `folder`, and below RETRAIN_HOME_LIMIT_GB.

    Raises:
        DiskFullError: they are not.
        ConfigurationError: RETRAIN_HOME_LIMIT_GB is no number above 0.
    """
    limit = volume.configured_limit(os.environ)
    space = volume.space(folder, limit)
    free = space.free // 2**20
    if free < min_free_mb:
        below = f" below {volume.LIMIT}={os.environ[volume.LIMIT]}" if space.limit == limit else ""
        raise DiskFullError(
            f"{folder} has {free} MB free{below}, a run needs {min_free_mb} MB. Nothing was written. Free some space, then clear the task."
        )


def of_run(pipeline: str, dag_run: str) -> Path:
    """The folder of all attempts of one DAG run. People choose run ids too, so it has safe characters, and a hash to keep ids apart."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", dag_run)[:80]
    return home() / "workspaces" / pipeline / f"{safe}-{hashlib.sha256(dag_run.encode()).hexdigest()[:8]}"


def discard(workspace: Workspace) -> None:
    """Remove one attempt. A file that cannot be removed is left to `remove`, so that the attempt's own failure is not hidden."""
    shutil.rmtree(
        workspace.path,
        onerror=lambda _, path, error: log.warning("%s could not be removed and stays: %s", path, error[1]),
    )


def remove(pipeline: str, dag_run: str) -> list[str]:
    """Remove all attempts of this DAG run. Returns the names of the folders.

    Raises:
        OSError: one cannot be removed.
    """
    folder = of_run(pipeline, dag_run)
    return [folder.name] if remove_folder(folder) else []


def abandoned(pipeline_folder: Path, before: float) -> list[Path]:
    """The folders of DAG runs that no task has used since `before` (seconds since the epoch). Other folders are not ours."""
    ours = (folder for folder in pipeline_folder.iterdir() if _OF_RUN.fullmatch(folder.name) and folder.is_dir())
    return sorted(folder for folder in ours if newest_use(folder) < before)


def note_use(workspace: Workspace) -> None:
    """Note that a task uses a workspace, which may be days old, so that the housekeeping leaves it alone."""
    with suppress(FileNotFoundError):  # the task says what it misses
        os.utime(workspace.path)


def remove_folder(folder: Path) -> bool:
    """Remove the folder of a DAG run; returns False if it does not exist.

    Raises:
        OSError: something in it cannot be removed.
    """
    if not folder.exists():
        return False
    shutil.rmtree(folder, onerror=_unless_gone)
    return True


def _unless_gone(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    """Raise any error but that somebody else has just removed the same folder."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def newest_use(folder: Path) -> float:
    """When a task last used an attempt of a run, or made or removed something in it or at the top of its checkout.

    In seconds since the epoch; infinite for a folder that does not exist any more.
    """
    changes = []
    for path in (folder, *folder.glob("*"), *folder.glob("*/checkout")):
        with suppress(FileNotFoundError):  # its run has just removed it
            changes.append(path.stat().st_mtime)
    return max(changes, default=math.inf)
