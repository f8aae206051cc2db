"""The run record: the last document of a ledger entry, checked against its schema by writer and reader. Pure but for the schema files.

A record is immutable, so it holds nothing that changes later. Which run of a day counts, where MLflow has it, and whether its
objects were removed are events of the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from retrain.errors import RecordError, SeveralEntriesError, UnknownEntryError
from retrain.run.run_spec import RunSpec
from retrain.run.schema_version import require_readable

SCHEMA_VERSION = 2
# What version 1 did not say: every deployment that came with it gave the stages one thread.
_THREADS_OF_VERSION_1 = 1


@dataclass(frozen=True)
class Mirrored:
    """Where MLflow has a run; `model_version` is None for a run without a model."""

    run_id: str
    experiment_id: str
    model_version: str | None


@dataclass(frozen=True)
class Version1:
    """What a record of version 1 held besides: MLflow's ids, and the run key of the entry that it took the place of."""

    mirrored: Mirrored
    supersedes: str | None


@dataclass(frozen=True)
class RunRecord:
    """What run_record_v2.schema.json describes. `version_1` is set for a record that was written as version 1."""

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
    threads: int
    raw_versioned: bool
    outputs: dict[str, str]
    metrics: dict[str, float]
    objects: int
    size: int
    version_1: Version1 | None = None

    @property
    def spec(self) -> RunSpec:
        return RunSpec(self.pipeline, self.partition, self.release, self.commit, self.manifest_digest)

    def to_dict(self) -> dict[str, Any]:
        """The record's own fields, without what only version 1 held."""
        return {name: value for name, value in asdict(self).items() if name != "version_1"}

    def to_json(self) -> str:
        """Canonical JSON; RecordError when it does not follow its own schema."""
        document = {"schema_version": SCHEMA_VERSION, **self.to_dict()}
        _check(document, SCHEMA_VERSION, "this run")
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> RunRecord:
        """Read `url`, written by this version or an earlier one.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it breaks its schema, or its content does not make its run key.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise RecordError(
                f"{url} is not JSON ({error}). Somebody else wrote it; the ledger's role should be denied that."
            ) from error
        given = document.get("schema_version") if isinstance(document, dict) else None
        version = require_readable(given, SCHEMA_VERSION, url)
        _check(document, version, url)
        record = cls(**_fields(document, version))
        if record.spec.run_key != record.run_key:
            raise RecordError(
                f"{url} says run key {record.run_key}, its content makes {record.spec.run_key}: it was changed."
            )
        return record


def _fields(document: Mapping[str, Any], version: int) -> dict[str, Any]:
    values = {name: value for name, value in document.items() if name not in ("schema_version", "mlflow", "supersedes")}
    if version == 1:
        values["threads"] = _THREADS_OF_VERSION_1
        values["version_1"] = Version1(Mirrored(**document["mlflow"]), document["supersedes"])
    return values


@cache
def _validator(version: int) -> Any:
    from jsonschema import Draft202012Validator

    schema = Path(__file__).with_name(f"run_record_v{version}.schema.json")
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def _check(document: Any, version: int, whose: str) -> None:
    error = next(iter(_validator(version).iter_errors(document)), None)
    if error is not None:
        raise RecordError(f"The run record of {whose} breaks its schema at {error.json_path}: {error.message}")


def counting(records: Iterable[RunRecord], counts: Mapping[str, str]) -> list[RunRecord]:
    """The record of each partition that counts, by partition.

    Args:
        records: the records of some partitions, all of each.
        counts: the run key that counts, by partition, as the ledger's events say. A partition without an event is one of version 1:
            there, the newest record that no other one supersedes counts.
    """
    by_partition: dict[str, list[RunRecord]] = {}
    for record in records:
        by_partition.setdefault(record.partition, []).append(record)
    found = []
    for partition, known in sorted(by_partition.items()):
        named = [record for record in known if record.run_key == counts.get(partition)]
        superseded = {record.version_1.supersedes for record in known if record.version_1}
        left = [record for record in known if record.run_key not in superseded]
        found.append((named or sorted(left or known, key=lambda record: record.recorded_at))[-1])
    return found


def choose(
    records: Iterable[RunRecord], counts: Mapping[str, str], partition: str, run_key: str | None = None
) -> RunRecord:
    """The entry of a partition: by the beginning of its run key, else the one that counts (`counts` as for `counting`).

    Raises:
        UnknownEntryError: there is none.
        SeveralEntriesError: the beginning of a key fits several.
    """
    known = [record for record in records if record.partition == partition]
    named = [record for record in known if run_key and record.run_key.startswith(run_key)]
    meant = named if run_key else counting(known, counts)
    if not meant:
        keys = ", ".join(record.run_key[:12] for record in known) or "none"
        raise UnknownEntryError(
            f"The ledger has no entry {run_key or ''} of {partition} (of that day: {keys}). See: make history"
        )
    if len(meant) > 1:
        raise SeveralEntriesError(f"{run_key} begins {len(meant)} entries of {partition}. Give more of the key.")
    return meant[0]
