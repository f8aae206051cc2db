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
    """The environment of a run, below `environments`.

    Args:
        record: the run.
        ledger: where its entry is.
        repository: where its release is; asked only for a run of version 1, whose lock is of no use without its project.
        scratch: an empty folder for that.
        environments: where environments are installed.

    Raises:
        EnvironmentGoneError: a package that it needs is not to be had any more; it is named.
    """
    text = ledger.file(record, ENVIRONMENT).decode()
    if record.version_1 is None:
        return environment.install(text, environments)
    bare = git.mirror(repository.url, Release(record.release, record.commit), scratch / "mirror.git")
    git.checkout(bare, record.commit, scratch / "checkout")
    project = scratch / "checkout" / repository.environment
    return environment.install(environment.frozen_of_recorded(text, project, environments), environments)
