"""The run record: the last document of a ledger entry. Writer and reader check it against its schema.

A record is immutable, so it has nothing that changes later: which run of a day counts, where MLflow has it, and whether its
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
# Version 1 does not have it: all deployments that wrote version 1 ran the stages with one thread.
_THREADS_OF_VERSION_1 = 1


@dataclass(frozen=True)
class Mirrored:
    """MLflow's ids of a run. `model_version` is None for a run without a model."""

    run_id: str
    experiment_id: str
    model_version: str | None


@dataclass(frozen=True)
class Version1:
    """The fields that only version 1 has: MLflow's ids, and the run key of the entry that the record replaced."""

    mirrored: Mirrored
    supersedes: str | None


@dataclass(frozen=True)
class RunRecord:
    """A run, with the fields that run_record_v2.schema.json describes. `version_1` is set if the record was written as version 1."""

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
        """The spec that the run key is computed from."""
        return RunSpec(self.pipeline, self.partition, self.release, self.commit, self.manifest_digest)

    def to_dict(self) -> dict[str, Any]:
        """The fields of the schema, without those that only version 1 has."""
        return {name: value for name, value in asdict(self).items() if name != "version_1"}

    def to_json(self) -> str:
        """Canonical JSON.

        Raises:
            RecordError: it does not follow its schema.
        """
        document = {"schema_version": SCHEMA_VERSION, **self.to_dict()}
        _check(document, SCHEMA_VERSION, "this run")
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> RunRecord:
        """Read a record of this version or an earlier one. `url` names it in an error.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it does not follow its schema, or its run key is not that of its content.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise RecordError(
                f"{url} is not JSON ({error}). Another program wrote it: check who may write to the ledger."
            ) from error
        given = document.get("schema_version") if isinstance(document, dict) else None
        version = require_readable(given, SCHEMA_VERSION, url)
        _check(document, version, url)
        record = cls(**_fields(document, version))
        if record.spec.run_key != record.run_key:
            raise RecordError(
                f"{url} has run key {record.run_key}, but its content gives {record.spec.run_key}: it was changed. Check who may write to the ledger."
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
        raise RecordError(f"The run record of {whose} does not follow its schema at {error.json_path}: {error.message}")


def counting(records: Iterable[RunRecord], counts: Mapping[str, str]) -> list[RunRecord]:
    """The record that counts for each partition, sorted by partition.

    Args:
        records: all records of some partitions.
        counts: the run key that counts by partition, from the ledger's events. A partition without an event has only records of
            version 1: the newest of them that no other supersedes counts.
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
    """The record of a partition whose run key begins with `run_key`; without it, the one that counts. `counts` is as for `counting`.

    Raises:
        UnknownEntryError: there is none.
        SeveralEntriesError: several run keys begin with `run_key`.
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
        raise SeveralEntriesError(
            f"The run keys of {len(meant)} entries of {partition} begin with {run_key}. Give more of the key."
        )
    return meant[0]
