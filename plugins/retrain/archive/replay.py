"""A recorded day computed again from the raw bytes, without any cache and in an environment made for it, against the record."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from retrain.archive import recorded_environment
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.store import s3
from retrain.work import git
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment


@dataclass(frozen=True)
class Compared:
    """One output: its recorded and its recomputed MD5, None when it is on one side only."""

    path: str
    recorded: str | None
    recomputed: str | None

    @property
    def same(self) -> bool:
        return self.recorded == self.recomputed


@dataclass(frozen=True)
class Replayed:
    """Every output compared, and the seconds of the `dvc repro`."""

    outputs: tuple[Compared, ...]
    seconds: float

    @property
    def same(self) -> bool:
        return all(output.same for output in self.outputs)


def replay(record: RunRecord, services: Services, *, scratch: Path | None = None) -> Replayed:
    """Recompute a run below `scratch` (a temporary folder) and compare every output. The raw objects are read by version id.

    Raises:
        OverwrittenError: raw bytes were overwritten in a bucket that keeps no versions. Raised before anything is computed.
        EnvironmentGoneError: a package of its environment is not to be had any more; the day can still be restored.
        StageError and its like: as in the daily run.
    """
    repository, ledger = services.deployment.repository, services.ledger
    s3.require_unchanged(services.s3, ledger.manifest(record.spec))
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
        with services.credentials.child_environment() as access:
            extra = {**access, "RAW_CACHE_DIR": str(place / "raw"), "OMP_NUM_THREADS": str(record.threads)}
            program = Dvc.of(checkout, built, own, place / "cache", extra)
            program.configure("s3://replay-never-pushes/dvc", services.credentials.endpoint())
            done = program.repro(program.describe(), services.deployment.limits.reproduce_minutes * 60)
            recomputed = {output.path: output.md5 for output in program.describe().outputs}
    paths = sorted({*record.outputs, *recomputed})
    return Replayed(
        tuple(Compared(path, record.outputs.get(path), recomputed.get(path)) for path in paths), done.seconds
    )
