"""The environment that a recorded run had, installed again from what its ledger entry froze."""

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

_OF_VERSION_1 = "environment.lock"


def provide(record: RunRecord, ledger: Ledger, repository: Repository, environments: Path) -> environment.Environment:
    """The environment of a run, below `environments`. Arguments as for `frozen_text`.

    Raises:
        EnvironmentGoneError: a package that it needs is not to be had any more; it is named.
    """
    return environment.install(frozen_text(record, ledger, repository, environments), environments)


def frozen_text(record: RunRecord, ledger: Ledger, repository: Repository, environments: Path) -> str:
    """Every package that a run was installed with, by version and hash.

    Args:
        record: the run.
        ledger: where its entry is.
        repository: where its release is; asked only for a run of version 1, whose lock is of no use without its project.
        environments: where resolutions are remembered.

    Raises:
        EnvironmentDefinitionError: a run of version 1 whose lock names a local path, or does not belong to its project.
    """
    if record.version_1 is None:
        return ledger.file(record, ENVIRONMENT).decode()
    text = ledger.file(record, _OF_VERSION_1).decode()
    with tempfile.TemporaryDirectory() as scratch:
        bare = git.mirror(repository.url, Release(record.release, record.commit), Path(scratch) / "mirror.git")
        git.checkout(bare, record.commit, Path(scratch) / "checkout")
        project = Path(scratch) / "checkout" / repository.environment
        return resolution.frozen_of_recorded(text, project, environments)


def packages(record: RunRecord, ledger: Ledger, repository: Repository, environments: Path) -> str:
    """As `frozen_text`, to be read and not installed: a lock that cannot be installed any more as it was recorded."""
    try:
        return frozen_text(record, ledger, repository, environments)
    except EnvironmentDefinitionError:
        return ledger.file(record, _OF_VERSION_1).decode()
