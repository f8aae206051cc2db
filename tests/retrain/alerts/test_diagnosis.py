"""Whose failure it is."""

from __future__ import annotations

import errno

import pytest

from retrain import errors
from retrain.alerts.diagnosis import diagnose
from retrain.alerts.kinds import Kind
from retrain.errors import Cause


@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        (errors.DataRefusedError("Stage prepare refused its data: trip_miles"), Kind.DATA_REJECTED, Cause.DATA),
        (errors.NoRawDataError("dt=2020-03-10 is empty"), Kind.DATA_REJECTED, Cause.DATA),
        (errors.NotLandedError("2020-03-10 is still landing"), Kind.DATA_LATE, Cause.DATA),
        (errors.PartitionLateError("late"), Kind.DATA_LATE, Cause.DATA),
        (errors.MovedTagError("moved"), Kind.RELEASE_REFUSED, Cause.RELEASE),
        (errors.UnprovenPushError("data/trips.parquet"), Kind.PUSH_UNPROVEN, Cause.INFRA),
        (errors.CorruptCacheError("model"), Kind.PUSH_UNPROVEN, Cause.INFRA),
        (errors.StoreError("S3 answered AccessDenied"), Kind.TASK_FAILED, Cause.INFRA),
        (errors.StageKilledError("Stage train was ended by signal 9"), Kind.TASK_FAILED, Cause.INFRA),
        (errors.StageCodeError("Stage train failed: ImportError"), Kind.TASK_FAILED, Cause.CODE),
        (errors.StageFailedError("Stage train failed with exit 1"), Kind.TASK_FAILED, Cause.UNKNOWN),
        (errors.StageTimeoutError("in stage train"), Kind.TASK_FAILED, Cause.UNKNOWN),
        (OSError(errno.ENOSPC, "No space left on device"), Kind.TASK_FAILED, Cause.INFRA),
        (ConnectionResetError("reset"), Kind.TASK_FAILED, Cause.INFRA),
        (None, Kind.TASK_FAILED, Cause.INFRA),
        (TypeError("None is no str"), Kind.TASK_FAILED, Cause.UNKNOWN),
        (ValueError("what"), Kind.TASK_FAILED, Cause.UNKNOWN),
    ],
)
def test_the_cause_is_what_the_evidence_says_and_else_unknown(
    error: BaseException | None, kind: Kind, cause: Cause
) -> None:
    found = diagnose(error, "reproduce")
    assert (found.kind, found.cause) == (kind, cause)
    assert found.evidence
    assert found.next


def test_a_day_that_is_still_landing_goes_back_to_the_task_that_waits_for_it() -> None:
    assert "Clear `wait_for_partition`" in diagnose(errors.NotLandedError("still landing"), "resolve_run").next


def test_the_first_failing_stage_is_named() -> None:
    killed = errors.StageKilledError("Stage train was ended by signal 9.")
    killed.stage = "train"
    assert diagnose(killed, "reproduce").stage == "train"
    assert diagnose(errors.StoreError("S3 did not answer"), "push").stage is None


def test_a_stage_is_what_the_error_carries_and_no_word_of_its_sentence() -> None:
    assert diagnose(errors.StoreError("The listing is of stage two of the upload"), "push").stage is None


def test_infrastructure_is_fixed_by_clearing_the_task_that_failed() -> None:
    assert "clear `push`" in diagnose(errors.StoreError("S3 did not answer"), "push").next


def test_a_run_that_an_upgrade_cut_in_two_says_which_task_to_clear() -> None:
    assert "Clear `resolve_run`" in diagnose(errors.TaskResultError("written by another version"), "push").next


def test_a_broken_file_is_corrected_and_not_rolled_back() -> None:
    todo = diagnose(errors.ConfigurationError("taxi.yaml: schedule.cron"), "read_configuration").next
    assert "clear `read_configuration`" in todo
    assert "rollback" not in todo


def test_evidence_is_one_line_with_a_foreign_exceptions_name() -> None:
    assert diagnose(ValueError("a\n  b"), "push").evidence == "ValueError: a b"
