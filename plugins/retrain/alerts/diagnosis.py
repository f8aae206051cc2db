"""A task's exception, read as on-call needs it: whose failure, which kind of alert, what to do. Pure.

Only evidence counts: an exception that does not say whose fault it is stays UNKNOWN.
"""

from __future__ import annotations

from dataclasses import dataclass

from retrain.alerts.kinds import Kind
from retrain.errors import (
    Cause,
    ConfigurationError,
    CorruptCacheError,
    DataRefusedError,
    LostObjectError,
    NoRawDataError,
    PartitionLateError,
    PushError,
    ReleaseError,
    RetrainError,
    TaskResultError,
    UnprovenPushError,
)

_LOST = "Airflow lost the task's process: it ended without reporting. It was killed, often for its memory, or its host went away."
UNHEARD = "Airflow has the task as failed, and its callback told nothing: read the log."
_KINDS: tuple[tuple[tuple[type[BaseException], ...], Kind], ...] = (
    ((PartitionLateError,), Kind.DATA_LATE),
    ((DataRefusedError, NoRawDataError), Kind.DATA_REJECTED),
    ((ReleaseError,), Kind.RELEASE_REFUSED),
    ((UnprovenPushError, LostObjectError, CorruptCacheError, PushError), Kind.PUSH_UNPROVEN),
)
_NEXT = {
    Cause.DATA: "Tell the data's owner. When the day has landed again, clear `resolve_run`.",
    Cause.CODE: "`make rollback`, then clear `resolve_run`. Tell the release's author.",
    Cause.RELEASE: "`make pin` says what is live. `make rollback`, or give the tag back its commit; then clear `resolve_run`.",
    Cause.INFRA: "When what the line above names is back, clear `{task}`: finished work comes back from the cache.",
    Cause.UNKNOWN: "Read the task's log. If it was a passing trouble, clear `{task}`; else `make rollback` and clear `resolve_run`.",
}


@dataclass(frozen=True)
class Diagnosis:
    """What a failure is, from its evidence.

    `evidence` is the exception's own sentence, whole: secrets and all. `stage` is the first stage of the pipeline that failed,
    if one did.
    """

    kind: Kind
    cause: Cause
    evidence: str
    stage: str | None
    next: str


def diagnose(error: BaseException | str | None, task: str) -> Diagnosis:
    """Read what a task ended with; None: nobody could report anything, because its process was lost."""
    kind = next((kind for classes, kind in _KINDS if isinstance(error, classes)), Kind.TASK_FAILED)
    cause = _cause(error)
    evidence = " ".join(str(error).split()) or type(error).__name__ if error is not None else _LOST
    if isinstance(error, BaseException) and not isinstance(error, RetrainError):
        evidence = f"{type(error).__name__}: {evidence}"
    todo = _NEXT[cause].format(task=task)
    if isinstance(error, ConfigurationError):
        todo = f"Correct what the line above names, then clear `{task}`. A pipeline's file is read again by itself."
    if isinstance(error, TaskResultError):
        todo = "Clear `resolve_run`: the run starts again there, and finished stages come back from the cache."
    if kind is Kind.DATA_LATE:
        todo = f"Ask the data's owner. When it has landed, clear `{task}`."
    return Diagnosis(kind, cause, evidence, getattr(error, "stage", None), todo)


def _cause(error: BaseException | str | None) -> Cause:
    if error is None:
        return Cause.INFRA
    if isinstance(error, RetrainError):
        return error.cause
    if isinstance(error, (ConnectionError, TimeoutError, MemoryError)):
        return Cause.INFRA
    if isinstance(error, OSError) and error.errno is not None:
        return Cause.INFRA  # the system refused something: a full disk, a missing right, a device
    return Cause.UNKNOWN
