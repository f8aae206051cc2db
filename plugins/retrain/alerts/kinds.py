"""The kinds of alerts. Each has a runbook of its name in infra/runbooks/."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The subject of an incident, or of a line of the daily digest."""

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


# Lines of the daily digest only.
QUIET = frozenset({Kind.PROMOTED, Kind.RELEASED})
