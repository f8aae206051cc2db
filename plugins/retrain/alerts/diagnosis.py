"""The diagnosis of a task's exception: the kind of alert, the cause, the next step.

The cause comes from evidence only: an exception that does not show its cause stays UNKNOWN.
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
    NotLandedError,
    PartitionLateError,
    PushError,
    ReleaseError,
    RetrainError,
    TaskResultError,
    UnprovenPushError,
)
from retrain.results import WAIT_FOR_PARTITION

_LOST = "The task's process ended without reporting to Airflow. It was killed, often for lack of memory, or its host went away."
UNREPORTED = "The task failed and its callback did not report why: read the log."
_KINDS: tuple[tuple[tuple[type[BaseException], ...], Kind], ...] = (
    ((PartitionLateError, NotLandedError), Kind.DATA_LATE),
    ((DataRefusedError, NoRawDataError), Kind.DATA_REJECTED),
    ((ReleaseError,), Kind.RELEASE_REFUSED),
    ((UnprovenPushError, LostObjectError, CorruptCacheError, PushError), Kind.PUSH_UNPROVEN),
)
_NEXT = {
    Cause.DATA: "Tell the data's owner. When the day has landed again, clear `resolve_run`.",
    Cause.CODE: "`make rollback`, then clear `resolve_run`. Tell the release's author.",
    Cause.RELEASE: "`make pin` says what is live. `make rollback`, or give the tag back its commit; then clear `resolve_run`.",
    Cause.INFRA: "Once the fault named above is fixed, clear `{task}`: finished work comes back from the cache.",
    Cause.UNKNOWN: "Read the task's log. If the fault was temporary, clear `{task}`; if not, `make rollback` and clear `resolve_run`.",
}


@dataclass(frozen=True)
class Diagnosis:
    """A failure's kind, cause and next step.

    `evidence` is the exception's whole sentence, which may hold secrets. `stage` is the first stage of the pipeline that failed;
    None if no stage did. `next` is a sentence with `code` in it.
    """

    kind: Kind
    cause: Cause
    evidence: str
    stage: str | None
    next: str


def diagnose(error: BaseException | str | None, task: str) -> Diagnosis:
    """Diagnose what a task ended with: its exception, a sentence about it, or None if its process was lost."""
    kind = next((kind for classes, kind in _KINDS if isinstance(error, classes)), Kind.TASK_FAILED)
    cause = _cause(error)
    evidence = " ".join(str(error).split()) or type(error).__name__ if error is not None else _LOST
    if isinstance(error, BaseException) and not isinstance(error, RetrainError):
        evidence = f"{type(error).__name__}: {evidence}"
    todo = _NEXT[cause].format(task=task)
    if isinstance(error, ConfigurationError):
        todo = f"Correct the setting named above, then clear `{task}`. A change in a pipeline's file needs no restart."
    if isinstance(error, TaskResultError):
        todo = "Clear `resolve_run`: the run starts again there, and finished stages come back from the cache."
    if isinstance(error, NotLandedError):
        todo = f"Clear `{WAIT_FOR_PARTITION}`: the run waits there until the day has landed again."
    elif kind is Kind.DATA_LATE:
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
        return Cause.INFRA  # the operating system refused a call: a full disk, a missing right, a device
    return Cause.UNKNOWN
