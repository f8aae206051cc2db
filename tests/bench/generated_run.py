"""One generated run: its objects on the remote, its ledger entry, and its events."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("plugins", "infra/local", "tests/bench")]

from server_files import ServerFiles  # noqa: E402
from stack_model import LEDGER_BUCKET, RAW_BUCKET, STORE_BUCKET  # noqa: E402

from retrain.judge.day import Day, Error, MeasuredFeature  # noqa: E402
from retrain.judge.judged_days import JUDGED, KeptDay  # noqa: E402
from retrain.run.release import Release  # noqa: E402
from retrain.run.run_record import RunRecord  # noqa: E402
from retrain.run.run_spec import RunSpec  # noqa: E402
from retrain.run.stage_run import StageOutcome, StageRun  # noqa: E402
from retrain.store import events, promotions  # noqa: E402
from retrain.store.ledger import DESCRIPTION, ENVIRONMENT, Ledger  # noqa: E402
from retrain.store.promotions import NotedPromotion  # noqa: E402
from retrain.store.receipt import Proof, ProvenBy, Receipt  # noqa: E402
from retrain.work.dvc.declared import Artifact, DeclaredOutput, Stage  # noqa: E402
from retrain.work.dvc.description import Description  # noqa: E402
from retrain.work.environments import frozen  # noqa: E402

LEDGER_URL = f"s3://{LEDGER_BUCKET}/ledger"
STORE_URL = f"s3://{STORE_BUCKET}/dvc"
_PACKAGES = "".join(f"package-{n}==1.{n}.0 --hash=sha256:{n:064x}\n" for n in range(120))


def raw_of(pipeline: str) -> str:
    return f"s3://{RAW_BUCKET}/raw/{pipeline}"


def store_of(pipeline: str) -> str:
    return f"{STORE_URL}/{pipeline}"


def stored(client: ServerFiles, pipeline: str, content: bytes, suffix: str = "") -> str:
    """Write an object of the remote; returns the MD5 that DVC names it by."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    bucket, _, prefix = store_of(pipeline).partition("://")[2].partition("/")
    client.put_object(Bucket=bucket, Key=f"{prefix}/files/md5/{md5[:2]}/{md5[2:]}", Body=content)
    return md5


@dataclass(frozen=True)
class GeneratedRun:
    """One run: where it is written, its inputs, its number in MLflow, and when it was recorded."""

    client: ServerFiles
    pipeline: str
    day: date
    release: Release
    number: str
    manifest: str
    at: datetime

    def write(self, daily: Sequence[tuple[str, str, int]], champion: str | None, *, promoted: bool) -> None:
        """Write its objects, its entry and its events.

        Args:
            daily: the files of its folder: name, MD5, size in bytes.
            champion: the version that is the champion before it; None if there is none.
            promoted: it becomes the champion.
        """
        ledger, partition = Ledger(cast("Any", self.client), LEDGER_URL), self.day.isoformat()
        digest = hashlib.sha256(self.manifest.encode()).hexdigest()
        spec = RunSpec(self.pipeline, partition, self.release.tag, self.release.commit, digest)
        outs = self._outputs(daily)
        described = _description(outs)
        proofs = {f"files/md5/{md5[:2]}/{md5[2:]}": (md5, size) for _, md5, size in (*daily, *outs)}
        receipt = Receipt(
            store_of(self.pipeline),
            tuple(
                Proof(key, size, md5.removesuffix(".dir"), ProvenBy.ETAG.value)
                for key, (md5, size) in sorted(proofs.items())
            ),
        )
        dag_run, text = f"scheduled__{self.day + timedelta(days=1)}T06:00:00+00:00", f"# python 3.12\n{_PACKAGES}"
        record = RunRecord(
            **spec.to_dict(),
            recorded_at=self.at.isoformat(timespec="seconds"),
            dag_run=dag_run,
            mode="daily",
            environment=frozen.identity(text.encode()),
            threads=1,
            raw_versioned=True,
            outputs={output.path: output.md5 for output in described.outputs},
            metrics=described.metric_values(),
            objects=len(receipt.proofs),
            size=receipt.size,
        )
        documents = {**_documents(spec, outs), "manifest.json": self.manifest, ENVIRONMENT: text}
        ledger.put_receipt(spec, receipt)
        ledger.commit(record, {**documents, DESCRIPTION: described.to_json()}, receipt)
        self._note(ledger, spec, record)
        if promoted:
            promotions.note(
                ledger, self.pipeline, NotedPromotion(partition, spec.run_key, self.number, champion, "better")
            )

    def _outputs(self, daily: Sequence[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        members = [{"md5": md5, "relpath": name} for name, md5, _ in daily]
        metrics = json.dumps({"model": {"mae": self._error}, "rows": 10000, "of": str(self.day)}).encode()
        contents = (
            ("data/days", json.dumps(members).encode(), ".dir"),
            ("model.bin", f"{self.pipeline} {self.day} model".encode(), ""),
            ("reports/metrics.json", metrics, ""),
        )
        return [
            (path, stored(self.client, self.pipeline, content, suffix), len(content))
            for path, content, suffix in contents
        ]

    @property
    def _error(self) -> float:
        return 4 + self.day.toordinal() % 7 / 10

    def _note(self, ledger: Ledger, spec: RunSpec, record: RunRecord) -> None:
        at, of_run = self.at.isoformat(timespec="milliseconds"), f"dt={spec.partition}/{spec.run_key}"
        stages = (StageRun("train", StageOutcome.RAN, 12.5, 300_000_000),)
        noted = {
            (events.STAGES, f"{of_run}/attempt-1"): events.StagesEvent(at, record.dag_run, record.environment, stages),
            (events.COUNTS, f"dt={spec.partition}/0001-{spec.run_key}"): events.CountsEvent(
                at, spec.run_key, spec.release, record.dag_run, record.mode
            ),
            (events.MIRRORED, f"{of_run}/0001-mlflow"): events.MirroredEvent(at, spec.run_key[:32], "1", self.number),
        }
        for (kind, name), event in noted.items():
            ledger.event(spec.pipeline, kind, name, event.to_dict())
        features = tuple(MeasuredFeature(f"feature_{n}", "input", 0.02, 0.2, importance=0.1, bins=10) for n in range(9))
        error = Error("mae", self._error, self._error - 0.1, self._error + 0.1)
        day = Day(spec.partition, 10000, 100_000, {}, features, error, {"pair_median": 5.0, "global_median": 6.0})
        kept = KeptDay(day, spec.release, spec.run_key)
        ledger.event(spec.pipeline, JUDGED, f"{spec.partition}-{spec.run_key}", kept.to_json())


def _documents(spec: RunSpec, outs: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    locked = [{"path": path, "hash": "md5", "md5": md5, "size": size} for path, md5, size in outs]
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "python -m train", "outs": locked}}}
    return {
        "dvc.lock": yaml.dump(lock, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)),
        "run.yaml": spec.run_yaml(),
    }


def _description(outs: Sequence[tuple[str, str, int]]) -> Description:
    declared = tuple(
        DeclaredOutput(
            path, "out", cached=True, pushed=True, persist=False, remote=None, locked=True,
            md5=md5, hash="md5", size=size, executable=False,
        )
        for path, md5, size in outs
    )  # fmt: skip
    train = Stage(
        "train", "dvc.yaml", ("python -m train",), ".", frozen=False, always_changed=False, reached=True,
        deps=("manifest.json",), params={"params.yaml": {"train.seed": 1}}, outs=declared,
    )  # fmt: skip
    metrics = {"reports/metrics.json": {"model.mae": 4.1, "rows": 10000.0}}
    return Description((train,), metrics, (), (Artifact("model", "model.bin", "model", None),), (), (), {})
