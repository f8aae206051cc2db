"""A hundred days, one week of which drifts, as the pipeline reports them and as they are judged."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from retrain.judge.day import Day, MeasuredFeature

FIRST = date(2019, 9, 1)
LAST = FIRST + timedelta(days=99)
_DRIFTS = range(58, 64)


def document(number: int) -> dict[str, Any]:
    """The pipeline's report of the day so many days after the first."""
    value = 0.3 if number in _DRIFTS else 0.05
    features = [{"name": name, "kind": "target", "value": value, "limit": 0.2} for name in ("speed", "duration")]
    rows = {"current": 330, "reference": 1320}
    partition = (FIRST + timedelta(days=number)).isoformat()
    metrics = {name: {"mae": 4.0} for name in ("model", "pair_median", "global_median")}
    return {
        "drift": {"schema_version": 1, "partition": partition, "rows": rows, "features": features},
        "metrics": metrics,
    }


def days() -> list[Day]:
    """All of them, oldest first."""
    found = []
    for number in range(100):
        report = document(number)["drift"]
        features = tuple(MeasuredFeature(**feature) for feature in report["features"])
        found.append(Day(report["partition"], 330, 1320, {}, features))
    return found
