"""What can be told. Each kind has a runbook of its name in infra/runbooks/."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What an incident, or a line of the daily digest, is about."""

    DATA_LATE = "data_late"
    DATA_REJECTED = "data_rejected"
    TASK_FAILED = "task_failed"
    PUSH_UNPROVEN = "push_unproven"
    RELEASE_REFUSED = "release_refused"
    DRIFT_DETECTED = "drift_detected"
    PERFORMANCE_DROPPED = "performance_dropped"
    PROMOTION_REFUSED = "promotion_refused"
    PIPELINE_SILENT = "pipeline_silent"
    BACKFILL = "backfill"
    PROMOTED = "promoted"
    RELEASED = "released"


# Told in the daily digest alone.
QUIET = frozenset({Kind.PROMOTED, Kind.RELEASED})
