"""The facts of a signal: a typed model for each kind of alert.

Signals and incidents carry facts in the JSON form of their files, so that an incident keeps the facts of a newer version.
Code builds a model by keywords and reads its attributes, so that the type checker finds a misspelt name.

Facts may come from another version of this code, so reading them never fails: a field that is missing, or has another type,
is None or empty, and an unknown one is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, NewType, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from retrain.alerts.fact_fields import (
    CauseField,
    Flag,
    Identifier,
    Interval,
    KindField,
    Number,
    NumbersByName,
    Text,
    Texts,
    Whole,
    many,
    text,
)
from retrain.alerts.kinds import Kind

# A JSON object. To the type checker it has no keys: only the models below know them.
FactsJson = NewType("FactsJson", object)


def no_facts() -> FactsJson:
    return FactsJson({})


def merged(older: FactsJson, newer: FactsJson) -> FactsJson:
    """The facts of both; where both have one, the newer is taken."""
    return FactsJson({**mapping(older), **mapping(newer)})


def mapping(facts: FactsJson) -> Mapping[str, Any]:
    """The JSON object itself, for code that treats all facts alike.

    Raises:
        TypeError: the facts are another JSON value.
    """
    if not isinstance(facts, Mapping):
        raise TypeError(f"facts are a JSON object, not {type(facts).__name__}")
    return facts


def _part(value: object) -> object:
    return value if isinstance(value, Facts) or (isinstance(value, Mapping) and value) else None


def _parts(value: object) -> list[object]:
    return [part for part in many(value) if isinstance(part, Facts | Mapping)]


class Facts(BaseModel):
    """Facts of any kind. A field that was not given by keyword is not written."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def read(cls, facts: FactsJson) -> Self:
        """The fields of this model that some facts have."""
        return cls.model_validate(facts if isinstance(facts, Mapping) else {})

    def written(self) -> FactsJson:
        """The JSON form, with lists for tuples: as a file gives it back."""
        return FactsJson(json.loads(json.dumps(self.model_dump(by_alias=True, exclude_unset=True))))


class RunFacts(Facts):
    """Links and the next action, for every kind with a run; by themselves, the facts of a task's good end."""

    dag_run: Text = None  # Airflow's run id
    log_url: Text = None
    mlflow_url: Text = None  # the page of the day's MLflow run
    next: Text = None  # what to do: a sentence of ours with `code` in it


class FailureFacts(RunFacts):
    """A failed task: `task_failed`, `data_rejected`, `push_unproven`, `release_refused`."""

    cause: CauseField = None
    evidence: Text = None  # the exception's sentence, without secrets
    stage: Text = None  # the pipeline's stage that failed, if one did
    task: Text = None  # the task's id
    tries: Number = None
    release: Text = None  # the run's, once it is fixed


class LateFacts(FailureFacts):
    """`data_late`: the watch saw that the data has not landed, or the task gave up (then with a failure's facts)."""

    expected_at: Text = None  # the deadline; UTC, ISO 8601
    marker: Text = None  # the address of the file that says that the day's data is complete
    awaited: Text = None  # without such a file: what has to be in S3, in words

    @property
    def gave_up(self) -> bool:
        """True if a run stopped waiting for the data, and failed."""
        return bool(self.dag_run)


class JudgedFacts(RunFacts):
    """The common facts of `drift_detected` and `performance_dropped`."""

    severity: Text = None  # low, medium, high
    confidence: Text = None  # a sentence
    reasons: Texts = ()  # sentences
    since: Text = None  # the day that opened the episode, YYYY-MM-DD
    days_open: Whole = None  # calendar days since then, counting that day


class FeatureFacts(Facts):
    """A feature that moved."""

    name: Text = None
    kind: Text = None  # input, target, prediction
    measure: Text = None  # how value and limit are measured; PSI where it is missing
    value: Number = None
    limit: Number = None


class RowsFacts(Facts):
    """How many rows were compared."""

    current: Number = None
    reference: Number = None


class DriftFacts(JudgedFacts):
    """`drift_detected`."""

    features: Annotated[tuple[FeatureFacts, ...], BeforeValidator(_parts)] = ()  # those that count most first
    rows: Annotated[RowsFacts | None, BeforeValidator(_part)] = None


class PerformanceFacts(JudgedFacts):
    """`performance_dropped`. Numbers are in the metric's unit."""

    metric: Text = None  # its name
    value: Number = None
    interval: Interval = None  # low, high
    limit: Number = None
    baselines: NumbersByName = Field(default_factory=dict)
    history: Text = None  # a sentence on the days before


class ModelFacts(Facts):
    """A model that was compared with another one."""

    version: Text = None  # in MLflow's registry
    partition: Text = None  # the day that it was trained on, YYYY-MM-DD
    age_days: Number = None  # from its partition to the challenger's
    value: Number = None  # of the metric; in files it stands under the metric's name


class PromotionFacts(RunFacts):
    """`promotion_refused`, and its end."""

    reason: Text = None  # a sentence
    metric: Text = None  # its name
    challenger: Annotated[ModelFacts | None, BeforeValidator(_part)] = None
    champion: Annotated[ModelFacts | None, BeforeValidator(_part)] = None
    baselines: NumbersByName = Field(default_factory=dict)
    promoted: Flag = None  # only of an end

    @model_validator(mode="before")
    @classmethod
    def _value_from_its_metric(cls, document: Any) -> Any:
        metric = text(document.get("metric"))
        models = {
            name: {**model, "value": model[metric]}
            for name in ("challenger", "champion")
            if isinstance(model := document.get(name), Mapping) and metric in model
        }
        return {**document, **models}

    @model_serializer(mode="wrap")
    def _value_under_its_metric(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = serialize(self)
        for name in ("challenger", "champion"):
            model = document.get(name)
            if model and self.metric and "value" in model:
                model[self.metric] = model.pop("value")
        return document


class ComponentFacts(Facts):
    """A part of Airflow's health."""

    status: Text = None
    age: Number = None  # of its last heartbeat, in seconds


def _health(value: object) -> dict[str, str | ComponentFacts]:
    entries = value.items() if isinstance(value, Mapping) else ()
    return {
        str(name): ComponentFacts.model_validate(each) if isinstance(each, Mapping) else str(each or "")
        for name, each in entries
    }


class SilenceFacts(RunFacts):
    """`pipeline_silent`."""

    expected_at: Text = None  # the deadline of the run's record; UTC, ISO 8601
    what: Text = None  # a sentence
    health: Annotated[Mapping[str, str | ComponentFacts], PlainValidator(_health)] = Field(default_factory=dict)


class BackfillFacts(Facts):
    """`backfill`: its runs, counted."""

    id: Identifier = None  # Airflow's
    first_day: Text = Field(default=None, validation_alias="from", serialization_alias="from")  # YYYY-MM-DD
    last_day: Text = Field(default=None, validation_alias="to", serialization_alias="to")  # YYYY-MM-DD, included
    total: Number = None
    done: Number = None
    running: Number = None  # the queued ones too
    failed: Number = None
    state: Text = None  # running, paused, finished
    release: Text = None  # if the backfill was started with one


class MetInBackfillFacts(Facts):
    """An additional fact of a trouble in a backfill's thread: its own kind."""

    kind: KindField = None


class ChampionFacts(Facts):
    """`promoted`."""

    version: Text = None  # in MLflow's registry
    before: Text = Field(default=None, validation_alias="from", serialization_alias="from")  # the version until then
    partition: Text = None  # the day that it was trained on, YYYY-MM-DD
    reason: Text = None  # a sentence


class ReleaseFacts(Facts):
    """`released`."""

    tag: Text = None
    commit: Text = None
    before: Text = Field(default=None, validation_alias="from", serialization_alias="from")  # the tag until then


_MODELS: Mapping[Kind, type[Facts]] = {
    Kind.DATA_LATE: LateFacts,
    Kind.DATA_REJECTED: FailureFacts,
    Kind.TASK_FAILED: FailureFacts,
    Kind.PUSH_UNPROVEN: FailureFacts,
    Kind.RELEASE_REFUSED: FailureFacts,
    Kind.DRIFT_DETECTED: DriftFacts,
    Kind.PERFORMANCE_DROPPED: PerformanceFacts,
    Kind.PROMOTION_REFUSED: PromotionFacts,
    Kind.PIPELINE_SILENT: SilenceFacts,
    Kind.BACKFILL: BackfillFacts,
    Kind.PROMOTED: ChampionFacts,
    Kind.RELEASED: ReleaseFacts,
}


def of_kind(kind: Kind, facts: FactsJson) -> Facts:
    """The facts of an alert of that kind."""
    return _MODELS[kind].read(facts)
