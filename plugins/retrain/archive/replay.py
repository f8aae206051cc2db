"""Replaying a recorded day: it is computed again from its raw bytes without any cache, and compared with the record."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from retrain.archive import recorded_environment
from retrain.deployment.pipeline_file import Deployment
from retrain.inputs import fetch_stages, fetching
from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.inputs.prepared import prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.stage_graph import StageGraph
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store import s3
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.work import git
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment
from retrain.work.service_credentials import Credentials


@dataclass(frozen=True)
class Compared:
    """One output with its recorded and its recomputed MD5; None where the record or the replay has no such output."""

    path: str
    recorded: str | None
    recomputed: str | None

    @property
    def same(self) -> bool:
        return self.recorded == self.recomputed


@dataclass(frozen=True)
class Replayed:
    """A replayed run: every output compared, and the duration of the `dvc repro` in seconds.

    `taken` are the stages that were not computed: they fetch their own data, and their outputs came from the record.
    """

    outputs: tuple[Compared, ...]
    seconds: float
    taken: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return all(output.same for output in self.outputs)


def replay(
    record: RunRecord, ledger: Ledger, deployment: Deployment, credentials: Credentials, *, scratch: Path | None = None
) -> Replayed:
    """Compute a run again and compare every output with the record. Nothing is pushed. Stages that fetch their own data are not run.

    Args:
        record: the run.
        ledger: the ledger that holds its entry. Its client also reads the raw objects, by their version ids.
        deployment: the pipeline's file.
        credentials: what the stages need to read raw objects.
        scratch: the folder in which the workspace is made and removed again; the system's by default.

    Raises:
        GoneError: what a stage fetched for the run is gone. Nothing was computed.
        OverwrittenError: raw objects were overwritten in a bucket that keeps no versions. Nothing was computed.
        EnvironmentGoneError: a package of its environment is not available any more; the day can still be restored.
        RetrainError: a stage failed, with the error that the daily run would end with.
    """
    repository = deployment.repository
    manifest = ledger.manifest(record.spec)
    s3.require_unchanged(ledger.client, manifest)
    with tempfile.TemporaryDirectory(prefix="replay-", dir=scratch) as folder:
        place = Path(folder)
        bare = git.mirror(repository.url, Release(record.release, record.commit), place / "mirror.git")
        checkout = place / "checkout"
        git.checkout(bare, record.commit, checkout)
        for name in ("run.yaml", "manifest.json"):
            (checkout / name).write_bytes(ledger.file(record, name))
        environments = place / "environments"
        built = recorded_environment.provide(record, ledger, repository, environments)
        own = environment.provide(DEPLOYMENT_DVC, environments)
        with credentials.child_environment() as access:
            extra = {**access, "RAW_CACHE_DIR": str(place / "raw"), "OMP_NUM_THREADS": str(record.threads)}
            program = Dvc.of(checkout, built, own, place / "cache", extra)
            program.configure("s3://replay-never-pushes/dvc", credentials.endpoint())
            prepared = prepare(checkout, manifest, program, RawObjects(ledger.client, place / "raw"))
            kept = FetchedOutputs(ledger, record.spec, Remote(ledger.client, deployment.store))
            fetch, timeout = manifest.settings.fetch, deployment.limits.reproduce_minutes * 60.0
            done = fetching.reproduce(program, prepared.description, fetch, timeout, kept, again=False)
            taken = fetch_stages.named(StageGraph.of(prepared.description), fetch)
            recomputed = {output.path: output.md5 for output in program.describe().outputs}
    paths = sorted({*record.outputs, *recomputed})
    return Replayed(
        tuple(Compared(path, record.outputs.get(path), recomputed.get(path)) for path in paths),
        done.seconds,
        tuple(sorted(taken)),
    )
