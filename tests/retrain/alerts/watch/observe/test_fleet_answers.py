"""How far the watch has read Airflow's runs after a look in which a question failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from retrain.airflow.api import AirflowApi
from retrain.alerts.watch.observe.fleet_answers import SWEEP, FleetAnswers, Progress
from retrain.alerts.watch.observe.observer import QUESTIONS

NOW = datetime(2020, 3, 11, 12, tzinfo=UTC)
BEFORE = Progress(frozenset(), NOW - timedelta(seconds=15), NOW - SWEEP, None)


def after(*missed: str, before: Progress = BEFORE) -> Progress:
    asked = FleetAnswers(AirflowApi("http://airflow.test"), [], [], NOW - timedelta(days=9), NOW, before)
    asked.missed.update(missed)
    return asked.progress()


def test_a_look_that_asked_everything_has_read_up_to_now() -> None:
    assert after() == Progress(frozenset(), NOW, NOW, None)


@pytest.mark.parametrize("missed", ["unreported_ends", "backfill_progress"])
def test_runs_of_a_question_that_failed_are_read_again(missed: str) -> None:
    assert missed in {question.__name__ for _, questions in QUESTIONS for question in questions}
    assert after(missed).until == BEFORE.until


def test_backfills_are_listed_once_in_ten_minutes_though_the_tasks_of_a_run_cannot_be_read() -> None:
    assert after("unreported_ends").swept == NOW
    assert after("backfill_progress").swept == BEFORE.swept
