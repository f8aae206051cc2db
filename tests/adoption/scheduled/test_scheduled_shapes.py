"""Days of other teams' repositories through the real scheduler: their data lands while the run waits for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_stack import Live, wait_until
from scheduled import FETCHING, WAITING
from shape import Shape
from team_server import TeamServer
from told import incidents

pytestmark = pytest.mark.timeout(900)

RUN = "first"


def first_day(shape: Shape) -> str:
    return next(iter(shape.days))


def land(live: Live, shape: Shape, day: str) -> None:
    """Land one day, each object in the producer's order."""
    url = str(shape.pipeline["raw"]["url"]).replace("${RETRAIN_RAW_BUCKET}", live.variables["RETRAIN_RAW_BUCKET"])
    for key, body in shape.landed[day]:
        live.put(f"{url}/{key}", body)


def answer(live: Live, *arguments: str) -> Any:
    """The document of a command that has to end well."""
    done = live.retrain("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def begun(live: Live) -> None:
    """A run of each pipeline that waits for data, deferred before it lands."""
    for name in WAITING:
        live.airflow.trigger(name, RUN, {"partition": first_day(Shape(name))})
    for name in WAITING:
        wait_until(
            lambda dag=name: live.states(dag, RUN)["wait_for_partition"] == "deferred", 180, f"{name} does not wait"
        )
        land(live, Shape(name), first_day(Shape(name)))


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("name", WAITING)
def test_a_day_that_lands_while_its_run_waits_is_recorded_with_the_numbers_of_its_data(live: Live, name: str) -> None:
    shape = Shape(name)
    day = first_day(shape)
    assert live.ended(name, RUN)["state"] == "success", live.states(name, RUN)
    (recorded,) = answer(live, "--pipeline", name, "history")
    assert (recorded["partition"], recorded["status"]) == (day, "live")
    assert recorded["metrics"] == shape.days[day].metrics
    assert answer(live, "--pipeline", name, "verify", day)["proven"] == recorded["objects"] > 0
    assert incidents(live, name) == []


@pytest.mark.usefixtures("begun")
def test_the_scheduler_s_own_day_of_a_pipeline_that_fetches_its_data_waits_for_nothing_and_asks_once(
    live: Live, source: TeamServer
) -> None:
    """Nobody triggers it: the last day of the schedule runs when the DAG is unpaused."""
    (run,) = wait_until(lambda: live.airflow.runs(FETCHING), 180, f"{FETCHING} has no run")
    assert run["run_type"] == "scheduled"
    assert live.ended(FETCHING, run["dag_run_id"])["state"] == "success"
    assert "wait_for_partition" not in live.states(FETCHING, run["dag_run_id"])
    (recorded,) = answer(live, "--pipeline", FETCHING, "history")
    assert recorded["partition"] == run["data_interval_start"][:10]
    assert recorded["metrics"] == {"rate": 1.0, "changed": 0.0}
    assert source.asked.count("/latest.json") == 1
    assert incidents(live, FETCHING) == []
