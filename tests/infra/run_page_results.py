"""Prints results as the tasks return them, by task id, for the page's test. Runs in Airflow's environment, whose types they are."""

from __future__ import annotations

import json
from datetime import date, timedelta

from retrain import results
from retrain.deployment.policies import Drift, Performance
from retrain.judge import drift, performance
from retrain.judge.day import Day, Error, MeasuredFeature
from retrain.results import Checked, Promoted, Pushed, Recorded, Removed, Reproduced, Resolved
from retrain.run.run_spec import RunSpec
from retrain.run.stage_run import StageOutcome, StageRun

LAST = date(2020, 3, 20)
SPEC = RunSpec("trips", LAST.isoformat(), "v1.1.0", "c0ffee" + "0" * 34, "d" * 64)


def days(mae: float) -> list[Day]:
    """Twenty days, of which the last three drift, and the last has this error."""
    found = []
    for ago in range(19, -1, -1):
        moved = 0.41 if ago < 3 else 0.05
        features = tuple(MeasuredFeature(name, "target", moved, 0.2) for name in ("duration", "speed"))
        error = Error("mae", mae, mae - 0.2, mae + 0.2) if ago == 0 else Error("mae", 4 + ago % 3 / 10, 3.8, 4.4)
        partition = (LAST - timedelta(days=ago)).isoformat()
        found.append(Day(partition, 9000, 36000, {}, features, error, {"constant": 6.0}))
    return found


history = days(mae=8.25)
drifted = drift.walk(history, Drift(report="drift.json"))[-1]
failing = performance.walk(history, Performance(metrics="metrics.json", model="model", metric="mae"))[-1]
stages = (
    StageRun("ingest", StageOutcome.CACHED, 0.1, 0),
    StageRun("train", StageOutcome.RAN, 61.5, 312 * 2**20),
    StageRun("evaluate", StageOutcome.RAN, 2.25, 0),
)
prepared = (
    "3 files, 1,234 bytes laid at data/raw, in place of data/raw.dvc",
    "params.yaml: data.year is 2020, in the release 2019",
)
url = "https://mlflow.example.org/#/experiments/1/runs/r1"
metrics = {"model.mae": 8.25, "constant.mae": 6.0, "rows": 9000.0}
whole = [
    Resolved.of(SPEC, "scheduled__2020-03-21", "daily"),
    Reproduced("/var/lib/retrain/workspaces/w", "e" * 64, 2, stages, 64.0, prepared),
    Pushed("receipts/0123456789abcdef.json", 12, 34567890, 4, 1, 6, 3.5),
    Recorded(new=True, run_id="r1", experiment_id="1", model_version="7", url=url, metrics=metrics),
    Checked(drifted, failing, told=True),
    Promoted(promoted=False, version="7", reason="mae 8.250 does not beat the champion's 4.100."),
    Removed(("scheduled__2020-03-21-0a1b2c3d",)),
]
assert {type(result) for result in whole} == set(results.RESULTS), "a task's result is not shown here"
print(json.dumps({result.task: result.to_json() for result in whole}))  # noqa: T201
