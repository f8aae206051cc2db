"""The environment that a recorded run had, installed again from what its ledger entry froze."""

from __future__ import annotations

from pathlib import Path

from retrain import environment, git
from retrain.deployment import Repository
from retrain.ledger import Ledger
from retrain.release import Release
from retrain.run_record import RunRecord

ENVIRONMENT = "environment.lock"


def provide(
    record: RunRecord, ledger: Ledger, repository: Repository, scratch: Path, environments: Path
) -> environment.Environment:
    """The environment of a run, below `environments`. Arguments as for `frozen_text`.

    Raises:
        EnvironmentGoneError: a package that it needs is not to be had any more; it is named.
    """
    return environment.install(frozen_text(record, ledger, repository, scratch, environments), environments)


def frozen_text(record: RunRecord, ledger: Ledger, repository: Repository, scratch: Path, environments: Path) -> str:
    """Every package that a run was installed with, by version and hash.

    Args:
        record: the run.
        ledger: where its entry is.
        repository: where its release is; asked only for a run of version 1, whose lock is of no use without its project.
        scratch: a folder for that; what is made there stays.
        environments: where resolutions are remembered.

    Raises:
        EnvironmentLockError: a run of version 1 whose lock names a local path, or does not belong to its project.
    """
    text = ledger.file(record, ENVIRONMENT).decode()
    if record.version_1 is None:
        return text
    checkout = scratch / record.commit
    bare = git.mirror(repository.url, Release(record.release, record.commit), scratch / "mirror.git")
    if not checkout.exists():
        git.checkout(bare, record.commit, checkout)
    return environment.frozen_of_recorded(text, checkout / repository.environment, environments)
