"""The run spec: everything that determines the bytes of a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import yaml

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunSpec:
    """Equal specs give equal bytes. MLflow, the ledger and Slack identify the run by its `run_key`."""

    pipeline: str
    partition: str
    release: str
    commit: str
    manifest_digest: str

    @property
    def run_key(self) -> str:
        """SHA-256 of the spec's canonical JSON, 64 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The fields and the run key, for XCom."""
        return {**asdict(self), "run_key": self.run_key}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> RunSpec:
        """Read what `to_dict` returned."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})

    def run_yaml(self) -> str:
        """`run.yaml`: the parameters of the day. Release and commit are left out: a stage that a release did not change stays cached."""
        document = {"schema_version": SCHEMA_VERSION, "pipeline": self.pipeline, "partition": self.partition}
        return yaml.safe_dump(document, sort_keys=False, default_style=None)
