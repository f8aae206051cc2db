"""What each task of a run leaves behind: one frozen type a task, with the JSON form that XCom carries.

The DAG, the run page, the demo, the callbacks and the tests read these types. A result that another version of the deployment
wrote is refused by name, so that a run which an upgrade cuts in two says which task to clear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from retrain.errors import TaskResultError
from retrain.judge.drift import DriftVerdict
from retrain.judge.performance import PerformanceVerdict
from retrain.run.run_spec import RunSpec
from retrain.run.stage_run import StageOutcome, StageRun

SCHEMA_VERSION = 2  # results before the first version had none
Json = dict[str, Any]


_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


def _adapter(kind: type[TaskResult]) -> TypeAdapter[Any]:
    if kind.task not in _ADAPTERS:
        _ADAPTERS[kind.task] = TypeAdapter(kind)
    return _ADAPTERS[kind.task]


@dataclass(frozen=True)
class TaskResult:
    """What a task returns; `task` is its id."""

    task: ClassVar[str] = ""

    def to_json(self) -> Json:
        """A document of plain JSON values, with `schema_version`."""
        document: Json = json.loads(json.dumps(asdict(self)))
        return {"schema_version": SCHEMA_VERSION, **document}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            TaskResultError: it is of another version of the deployment, or does not have this task's fields.
        """
        version = value.get("schema_version") if isinstance(value, Mapping) else None
        if version != SCHEMA_VERSION:
            raise TaskResultError(
                f"The result of {cls.task} has schema_version {version!r}, this deployment reads {SCHEMA_VERSION}: "
                "the run was begun by another version. Clear resolve_run; finished stages come back from the cache."
            )
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        try:
            result: Self = _adapter(cls).validate_python(known)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
            raise TaskResultError(f"The result of {cls.task} cannot be read ({wrong}). Clear {cls.task}.") from error
        return result


@dataclass(frozen=True)
class Resolved(TaskResult):
    """What the run is a function of, and which DAG run it is. `mode` is `daily` or `backfill`."""

    task: ClassVar[str] = "resolve_run"

    pipeline: str
    partition: str
    release: str
    commit: str
    manifest_digest: str
    run_key: str
    dag_run: str
    mode: str

    @classmethod
    def of(cls, spec: RunSpec, dag_run: str, mode: str) -> Resolved:
        return cls(**spec.to_dict(), dag_run=dag_run, mode=mode)

    @property
    def spec(self) -> RunSpec:
        return RunSpec(self.pipeline, self.partition, self.release, self.commit, self.manifest_digest)

    @property
    def is_backfill(self) -> bool:
        return self.mode == BACKFILL


BACKFILL = "backfill"


@dataclass(frozen=True)
class Reproduced(TaskResult):
    """A green `dvc repro`: its workspace's path, the identity of the release's environment, the stages' threads, and seconds in all."""

    task: ClassVar[str] = "reproduce"

    workspace: str
    environment: str
    threads: int
    stages: tuple[StageRun, ...]
    seconds: float

    @property
    def executed(self) -> list[str]:
        """The names of the stages that ran."""
        return [stage.name for stage in self.stages if stage.outcome is StageOutcome.RAN]

    @property
    def cached(self) -> list[str]:
        """The names of the stages whose outputs came from the cache."""
        return [stage.name for stage in self.stages if stage.outcome is StageOutcome.CACHED]


@dataclass(frozen=True)
class Pushed(TaskResult):
    """A proven push: the receipt's name in the ledger, objects and bytes proven, objects sent and healed, requests, seconds."""

    task: ClassVar[str] = "push"

    receipt: str
    objects: int
    bytes: int
    sent: int
    healed: int
    requests: int
    seconds: float


@dataclass(frozen=True)
class Recorded(TaskResult):
    """A recorded run: whether its ledger entry is new, and where MLflow has it. `model_version` is None without a model."""

    task: ClassVar[str] = "record_run"

    new: bool
    run_id: str
    experiment_id: str
    model_version: str | None
    url: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Checked(TaskResult):
    """What the policies say of the day; None for a policy that the pipeline does not have. `told`: signals were left for the watch."""

    task: ClassVar[str] = "check_drift"

    drift: DriftVerdict | None
    performance: PerformanceVerdict | None
    told: bool


@dataclass(frozen=True)
class Promoted(TaskResult):
    """Whether this run's model became the champion, its version, and why or why not."""

    task: ClassVar[str] = "promote"

    promoted: bool
    version: str
    reason: str


@dataclass(frozen=True)
class Removed(TaskResult):
    """The names of the workspace folders that were removed."""

    task: ClassVar[str] = "remove_workspace"

    folders: tuple[str, ...]


RESULTS: tuple[type[TaskResult], ...] = (Resolved, Reproduced, Pushed, Recorded, Checked, Promoted, Removed)


def schemas() -> dict[str, Json]:
    """JSON Schema of each task's result, by task id."""
    return {kind.task: _adapter(kind).json_schema() for kind in RESULTS}
