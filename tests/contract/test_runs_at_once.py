"""Two DAG runs of one run key, as a late landing and the schedule start them, on a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from test_corrected_partitions import DAY, team  # noqa: F401 - a fixture

from retrain.airflow.adapters import services
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run


@pytest.mark.slow
def test_two_runs_of_one_run_key_at_once_compute_each_stage_once(team):  # noqa: F811
    team.land(DAY, 1)
    runs = [resolve_run(services(team.deployment), DAY, "v1.0.0", name, "daily") for name in ("scheduled", "landed")]
    assert runs[0].run_key == runs[1].run_key
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda run: reproduce(services(team.deployment), run), runs))
    assert sorted(each.executed for each in done) == [[], ["ingest", "add"]]
    assert sorted(each.cached for each in done) == [[], ["ingest", "add"]]
