"""The run spec: what a run is a pure function of, and the key that names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import yaml

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunSpec:
    """Equal specs give equal bytes; `run_key` is what MLflow, the ledger and Slack find the run by."""

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
        """For XCom: the fields and the key they make."""
        return {**asdict(self), "run_key": self.run_key}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> RunSpec:
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})

    def run_yaml(self) -> str:
        """`run.yaml`: the parameters of the day. Without release and commit, so that stages no release changed stay cached."""
        document = {"schema_version": SCHEMA_VERSION, "pipeline": self.pipeline, "partition": self.partition}
        return yaml.safe_dump(document, sort_keys=False, default_style=None)
