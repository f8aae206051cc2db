"""The pipeline that a command was called for: its deployment, its ledger, its remote, and the runs that arguments name."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager
from pathlib import Path

from retrain.archive import recorded_environment
from retrain.deployment.pipeline_file import load
from retrain.run import partition
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, ledger_index
from retrain.store.ledger_index import LedgerIndex
from retrain.work import git, workspace
from retrain.work.dvc import deployment_dvc
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import Dvc
from retrain.work.origin import Origin
from retrain.work.whole_checkout import whole_checkout

ROOT = Path(__file__).resolve().parents[3]


def pipelines_folder() -> Path:
    """The folder with the files of the deployed pipelines."""
    return Path(os.environ.get("RETRAIN_PIPELINES") or ROOT / "dags" / "pipelines")


def add_day(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the arguments that name a recorded run: its partition, and its run key if the day has several."""
    parser.add_argument("partition", nargs="?" if optional else None, help="YYYY-MM-DD")
    parser.add_argument(
        "--run-key", help="the beginning of a run key, when a day has several (default: the one that counts)"
    )


class ChosenPipeline:
    """A deployed pipeline and its services, reached with Airflow's connections."""

    def __init__(self, pipeline: str) -> None:
        # Late: importing Airflow takes a second, and its log level has to be set before.
        from retrain.airflow.adapters import services

        self.deployment = load(pipelines_folder() / f"{pipeline}.yaml")
        self.services = services(self.deployment)
        self.ledger = self.services.ledger
        self.remote = self.services.remote

    def record(self, options: argparse.Namespace) -> RunRecord:
        """The run that `add_day`'s arguments name.

        Raises:
            UnknownEntryError: the ledger has no such run.
            SeveralEntriesError: the run key's beginning fits several runs.
        """
        return self._entry(options.partition, options.run_key)

    def counting_record(self, day: str) -> RunRecord:
        """The run of a day, YYYY-MM-DD, that counts.

        Raises:
            UnknownEntryError: the ledger has no run of that day.
        """
        return self._entry(day, None)

    def _entry(self, day: str, run_key: str | None) -> RunRecord:
        return self.ledger.entry(self.deployment.pipeline, partition.parse(day).isoformat(), run_key)

    def pruned_notes(self, *records: RunRecord) -> list[str]:
        """A sentence for each of these runs whose objects were removed by a prune."""
        return [
            f"The objects of {record.partition} ({record.run_key[:12]}) were removed by make prune; its ledger entry is whole. "
            "A backfill of the day stores them again."
            for record in records
            if ledger_facts.is_pruned(self.ledger, record.spec)
        ]

    @property
    def indexes(self) -> Path | None:
        """The folder of the ledgers' indexes; None where RETRAIN_HOME is not set: there is no index then."""
        return workspace.home() / "index" if os.environ.get("RETRAIN_HOME") else None

    def index(self) -> AbstractContextManager[LedgerIndex]:
        """The index of the pipeline's ledger, open."""
        return ledger_index.opened(self.indexes, self.ledger.url, self.deployment.pipeline)

    def mirror(self, record: RunRecord) -> Path:
        """The local mirror of the Git origin, with the run's commit.

        Raises:
            OriginError: the origin does not answer, or does not have the commit.
        """
        with self.services.origin() as origin:
            return self._mirror(record, origin)

    def _mirror(self, record: RunRecord, origin: Origin) -> Path:
        folder = self.ledger.manifest(record.spec).settings.folder
        return git.mirror(origin, Release(record.release, record.commit), workspace.mirrors(), folder=folder)

    def packages(self, record: RunRecord) -> str:
        """The packages of a run, as `recorded_environment.packages` returns them."""
        environments, repository = workspace.home() / "environments", self.deployment.repository
        credentials = self.services.credentials
        return recorded_environment.packages(record, self.ledger, repository, environments, credentials)

    def describe(self, record: RunRecord, folder: Path) -> Description:
        """DVC's description of a recorded run, whose checkout is made again in an empty folder.

        Raises:
            OriginError: the origin does not answer, or does not have the commit.
            StoreError: the ledger has lost a document of the run.
            RetrainError: as for `described`.
        """
        with self.services.origin() as origin:
            settings = self.ledger.manifest(record.spec).settings
            laid = [each.path for each in settings.inputs]
            mirror = self._mirror(record, origin)
            whole_checkout(mirror, record.commit, folder, origin, folder=settings.folder, laid=laid)
        for document in ("run.yaml", "manifest.json", "dvc.lock"):
            (folder / document).write_bytes(self.ledger.file(record, document))
        return self.described(folder)

    def described(self, checkout: Path) -> Description:
        """DVC's description of a checkout. No stage is run.

        Raises:
            DescriptionError: DVC refuses the checkout.
            DvcError: the program that asks DVC failed or took too long.
            EnvironmentBuildError: the deployment's own DVC cannot be installed.
        """
        program = self.dvc(checkout)
        program.configure(self.deployment.store, None)
        return program.describe()

    def dvc(self, checkout: Path) -> Dvc:
        """The deployment's own DVC for a checkout; it has no credentials.

        Raises:
            EnvironmentBuildError: the deployment's own DVC cannot be installed.
        """
        own = deployment_dvc.provide(workspace.home() / "environments")
        return Dvc.of(checkout, own, own, checkout.parent / "cache", {})
