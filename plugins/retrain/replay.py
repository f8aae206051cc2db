"""A recorded day computed again from the raw bytes, without any cache and in an environment made for it, against the record."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from retrain import environment, git, s3
from retrain.connections import Aws
from retrain.dvc import Dvc, Lock
from retrain.ledger import Ledger
from retrain.release import Release
from retrain.run_record import RunRecord


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


def replay(
    record: RunRecord,
    ledger: Ledger,
    origin: str,
    aws: Aws,
    *,
    project: str,
    deployment_dvc: Path,
    timeout: float,
    scratch: Path | None = None,
) -> Replayed:
    """Recompute a run below `scratch` (a temporary folder) and compare every output. The raw objects are read by version id.

    Raises:
        OverwrittenError: raw bytes were overwritten in a bucket that keeps no versions. Told before anything is computed.
        StageError and its like: as in the daily run.
    """
    s3.require_unchanged(aws.client(), ledger.manifest(record.spec))
    with tempfile.TemporaryDirectory(prefix="replay-", dir=scratch) as folder:
        place = Path(folder)
        bare = git.mirror(origin, Release(record.release, record.commit), place / "mirror.git")
        checkout = place / "checkout"
        git.checkout(bare, record.commit, checkout)
        for name in ("run.yaml", "manifest.json"):
            (checkout / name).write_bytes(ledger.file(record, name))
        # A dvc.lock that came with the commit must not let a stage be skipped.
        (checkout / "dvc.lock").unlink(missing_ok=True)
        built = environment.build(checkout / project, place / "environments")
        own = built.bin if built.has_dvc_on_s3 else environment.build(deployment_dvc, place / "environments").bin
        extra = {**aws.environment(), "RAW_CACHE_DIR": str(place / "raw"), "OMP_NUM_THREADS": "1"}
        program = Dvc.of(checkout, built, own, place / "cache", extra)
        program.configure("s3://replay-never-pushes/dvc", aws.endpoint)
        done = program.repro(timeout)
        recomputed = {output.path: output.md5 for output in Lock.read(checkout).outputs}
    paths = sorted({*record.outputs, *recomputed})
    return Replayed(
        tuple(Compared(path, record.outputs.get(path), recomputed.get(path)) for path in paths), done.seconds
    )
