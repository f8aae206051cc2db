"""The environment of a recorded run, installed again from the packages that its ledger entry lists."""

from __future__ import annotations

import tempfile
from pathlib import Path

from retrain.deployment.sections import Repository
from retrain.errors import EnvironmentDefinitionError
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store.ledger import ENVIRONMENT, Ledger
from retrain.work import git
from retrain.work.environments import environment, resolution
from retrain.work.service_credentials import Credentials

_OF_VERSION_1 = "environment.lock"


def provide(
    record: RunRecord, ledger: Ledger, repository: Repository, environments: Path, credentials: Credentials
) -> environment.Environment:
    """Install the environment of a run below `environments`, unless it is there. Arguments as for `frozen_text`.

    Raises:
        EnvironmentGoneError: a package is not available any more; the sentence names it.
        EnvironmentDefinitionError: as for `frozen_text`.
    """
    return environment.install(frozen_text(record, ledger, repository, environments, credentials), environments)


def frozen_text(
    record: RunRecord, ledger: Ledger, repository: Repository, environments: Path, credentials: Credentials
) -> str:
    """The requirements that a run's environment was installed from: every package with version and hash.

    Args:
        record: the run.
        ledger: the ledger that holds its entry.
        repository: the section of the pipeline's file. Only used for entries of version 1, whose lock needs the project's files.
        environments: the folder that also keeps the results of resolving requirements.
        credentials: those of the pipeline, with its Git origin. Only used for entries of version 1.

    Raises:
        EnvironmentDefinitionError: the lock of an entry of version 1 names a local path, or does not belong to its project.
    """
    if record.version_1 is None:
        return ledger.file(record, ENVIRONMENT).decode()
    text = ledger.file(record, _OF_VERSION_1).decode()
    with tempfile.TemporaryDirectory() as scratch, credentials.origin() as origin:
        bare = git.mirror(origin, Release(record.release, record.commit), Path(scratch) / "git")
        git.checkout(bare, record.commit, Path(scratch) / "checkout")
        project = Path(scratch) / "checkout" / repository.packages_folder
        return resolution.frozen_of_recorded(text, project, environments)


def packages(
    record: RunRecord, ledger: Ledger, repository: Repository, environments: Path, credentials: Credentials
) -> str:
    """The packages of a run, for reading: `frozen_text`, or the recorded lock itself if that cannot be installed any more."""
    try:
        return frozen_text(record, ledger, repository, environments, credentials)
    except EnvironmentDefinitionError:
        return ledger.file(record, _OF_VERSION_1).decode()
