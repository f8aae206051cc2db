"""The run record: the last document of a ledger entry, checked against its schema by writer and reader. Pure but for the schema file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from retrain.errors import RecordError, RecordVersionError, SeveralEntriesError, UnknownEntryError
from retrain.run_spec import RunSpec

SCHEMA_VERSION = 1
_SCHEMA = Path(__file__).with_name("run_record.schema.json")


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class RunRecord:
    """What run_record.schema.json describes."""

    run_key: str
    pipeline: str
    partition: str
    release: str
    commit: str
    manifest_digest: str
    recorded_at: str
    dag_run: str
    mode: str
    environment: str
    raw_versioned: bool
    outputs: dict[str, str]
    metrics: dict[str, float]
    mlflow: dict[str, Any]
    objects: int
    size: int
    supersedes: str | None

    @property
    def spec(self) -> RunSpec:
        return RunSpec(self.pipeline, self.partition, self.release, self.commit, self.manifest_digest)

    def to_json(self) -> str:
        """Canonical JSON; RecordError when it does not follow its own schema."""
        document = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        _check(document, "this run")
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> RunRecord:
        """Read `url`; RecordVersionError for a schema of another deployment, RecordError for what breaks this one."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise RecordError(
                f"{url} is not JSON ({error}). Somebody else wrote it; the ledger's role should be denied that."
            ) from error
        version = document.get("schema_version") if isinstance(document, dict) else None
        if version != SCHEMA_VERSION:
            raise RecordVersionError(
                f"{url} has schema_version {version!r}, this deployment reads {SCHEMA_VERSION}. Use the deployment that wrote it."
            )
        _check(document, url)
        document.pop("schema_version")
        record = cls(**document)
        if record.spec.run_key != record.run_key:
            raise RecordError(
                f"{url} says run key {record.run_key}, its content makes {record.spec.run_key}: it was changed."
            )
        return record


def _check(document: Any, whose: str) -> None:
    error = next(iter(_validator().iter_errors(document)), None)
    if error is not None:
        raise RecordError(f"The run record of {whose} breaks its schema at {error.json_path}: {error.message}")


def live(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records that no other one supersedes, by partition, then by the time of recording."""
    known = list(records)
    gone = {record.supersedes for record in known}
    return sorted((r for r in known if r.run_key not in gone), key=lambda r: (r.partition, r.recorded_at))


def choose(records: Iterable[RunRecord], partition: str, run_key: str | None = None) -> RunRecord:
    """The entry of a partition: by the beginning of its key, else the newest that is not superseded.

    Raises:
        UnknownEntryError: there is none.
        SeveralEntriesError: the beginning of a key fits several.
    """
    known = [record for record in records if record.partition == partition]
    named = [record for record in known if run_key and record.run_key.startswith(run_key)]
    newest = named if run_key else live(known)[-1:]
    if not newest:
        keys = ", ".join(record.run_key[:12] for record in known) or "none"
        raise UnknownEntryError(
            f"The ledger has no entry {run_key or ''} of {partition} (of that day: {keys}). See: make history"
        )
    if len(newest) > 1:
        raise SeveralEntriesError(f"{run_key} begins {len(newest)} entries of {partition}. Give more of the key.")
    return newest[0]
