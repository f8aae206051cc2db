"""A run record of a small pipeline."""

from typing import Any

from retrain.run.run_record import RunRecord
from retrain.run.run_spec import RunSpec


def record(partition: str = "2020-03-05", release: str = "v1.0.0", *, at: str = "06:00", **changes: Any) -> RunRecord:
    spec = RunSpec("p", partition, release, "a" * 40, "d" * 64)
    fields: dict[str, Any] = {
        **spec.to_dict(),
        "recorded_at": f"2020-03-06T{at}:00+00:00",
        "dag_run": "scheduled__1",
        "mode": "daily",
        "environment": "e" * 64,
        "threads": 2,
        "raw_versioned": True,
        "outputs": {"model": "1" * 32 + ".dir"},
        "metrics": {"model.mae": 4.1},
        "objects": 2,
        "size": 16,
    }
    return RunRecord(**{**fields, **changes})
