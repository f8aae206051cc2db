"""The result of each task of the DAG: one frozen type for each, with the JSON form that XCom carries.

The DAG, the run page, the demo, the callbacks and the tests read these types. A result that another version of the deployment
wrote is refused with a sentence that says which task to clear, because an upgrade may come in the middle of a run.
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
BACKFILL = "backfill"  # the mode of a run that a backfill started
Json = dict[str, Any]

_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


def _adapter(kind: type[TaskResult]) -> TypeAdapter[Any]:
    if kind.task not in _ADAPTERS:
        _ADAPTERS[kind.task] = TypeAdapter(kind)
    return _ADAPTERS[kind.task]


@dataclass(frozen=True)
class TaskResult:
    """Base of all results. `task` is the task's id."""

    task: ClassVar[str] = ""

    def to_json(self) -> Json:
        """The result as JSON values, with `schema_version`."""
        document: Json = json.loads(json.dumps(asdict(self)))
        return {"schema_version": SCHEMA_VERSION, **document}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            TaskResultError: another version of the deployment wrote it, or a field of this task is missing or of another type.
        """
        version = value.get("schema_version") if isinstance(value, Mapping) else None
        if version != SCHEMA_VERSION:
            raise TaskResultError(
                f"The result of {cls.task} has schema_version {version!r}, this deployment reads {SCHEMA_VERSION}: "
                f"another version began the run. Clear {Resolved.task}; finished stages come back from the cache."
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
    """The inputs of a run, as in `RunSpec`; and the id of its DAG run. `mode` is `daily` or `backfill`."""

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


@dataclass(frozen=True)
class Reproduced(TaskResult):
    """A green `dvc repro`.

    `workspace` is the path of its workspace, `environment` the identity of the release's environment, `threads` the number of
    threads that each stage could use, `seconds` the duration of `dvc repro`. `prepared` says in sentences which raw objects were
    laid in the checkout and which params were set.
    """

    task: ClassVar[str] = "reproduce"

    workspace: str
    environment: str
    threads: int
    stages: tuple[StageRun, ...]
    seconds: float
    prepared: tuple[str, ...] = ()

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
    """A proven push.

    `receipt` is the receipt's name in the ledger; `objects` and `bytes` are proven by it. `sent` counts objects that DVC sent,
    `healed` those that were uploaded again because the remote lacked them or held other bytes. `requests` counts the
    proof's requests to S3, `seconds` is the duration of push and proof.
    """

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
    """A recorded run and its place in MLflow.

    `new` is False if the ledger had the run already. `model_version` is None for a run without a model. `url` is the address of
    the run in MLflow's UI. `metrics` are named `<section>.<metric>`. `not_repeatable` are the stages that gave other bytes than the
    record has, which stands; `note` says so in a sentence.
    """

    task: ClassVar[str] = "record_run"

    new: bool
    run_id: str
    experiment_id: str
    model_version: str | None
    url: str
    metrics: dict[str, float]
    not_repeatable: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Checked(TaskResult):
    """The verdicts on the day; None for a policy that the pipeline does not have. `told` is True if the watch got signals."""

    task: ClassVar[str] = "check_drift"

    drift: DriftVerdict | None
    performance: PerformanceVerdict | None
    told: bool


@dataclass(frozen=True)
class Promoted(TaskResult):
    """The decision on the run's model: its version in MLflow, whether it is the new champion, and a sentence on why."""

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
WAIT_FOR_PARTITION = "wait_for_partition"  # a sensor, without a result
TASKS = (WAIT_FOR_PARTITION, *(kind.task for kind in RESULTS))  # the ids of the DAG's tasks, in its order


def schemas() -> dict[str, Json]:
    """The JSON Schema of each task's result, by task id."""
    return {kind.task: _adapter(kind).json_schema() for kind in RESULTS}
