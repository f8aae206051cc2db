"""By when a day is owed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from retrain.alerts.watch.observe.deadlines import deadline, owed
from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Expected

AT = time(10)
LONG_AGO = datetime(2018, 1, 1, tzinfo=UTC)


def expecting(deployment: Deployment, zone: str = "UTC", not_on: tuple[str, ...] = ()) -> tuple[Deployment, Expected]:
    expected = Expected(landed=AT, recorded=time(14), not_on=not_on)  # type: ignore[arg-type]
    schedule = deployment.schedule.model_copy(update={"timezone": zone})
    return deployment.model_copy(update={"expected": expected, "schedule": schedule}), expected


@pytest.mark.parametrize(
    ("partition", "zone", "not_on", "due"),
    [
        pytest.param(date(2020, 3, 10), "UTC", (), "2020-03-11T10:00", id="the next day"),
        pytest.param(date(2020, 3, 10), "America/New_York", (), "2020-03-11T14:00", id="in the schedule's zone"),
        pytest.param(date(2020, 3, 7), "America/New_York", (), "2020-03-08T14:00", id="on the day the clocks change"),
        pytest.param(date(2020, 3, 13), "UTC", ("weekends",), "2020-03-16T10:00", id="Friday's on Monday"),
        pytest.param(date(2020, 3, 13), "UTC", ("holidays",), "2020-03-14T10:00", id="weekends may be expected"),
        pytest.param(date(2019, 7, 3), "UTC", ("holidays",), "2019-07-05T10:00", id="not on Independence Day"),
        pytest.param(date(2020, 7, 2), "UTC", ("weekends", "holidays"), "2020-07-06T10:00", id="a long weekend"),
    ],
)
def test_a_day_is_owed_by_a_time_on_the_next_day_that_counts(
    deployment: Deployment, partition: date, zone: str, not_on: tuple[str, ...], due: str
) -> None:
    changed, expected = expecting(deployment, zone, not_on)
    assert deadline(changed, expected, partition, AT) == datetime.fromisoformat(f"{due}+00:00")


def test_a_day_is_owed_from_its_deadline_on(deployment: Deployment) -> None:
    changed, _ = expecting(deployment)
    before = owed(changed, AT, LONG_AGO, datetime(2020, 3, 11, 9, 59, tzinfo=UTC))
    after = owed(changed, AT, LONG_AGO, datetime(2020, 3, 11, 10, 0, tzinfo=UTC))
    assert before[-1][0] == "2020-03-09"
    assert after[-1][0] == "2020-03-10"


def test_nothing_is_owed_from_before_the_deployment_existed(deployment: Deployment) -> None:
    changed, _ = expecting(deployment)
    since = datetime(2020, 3, 10, 12, tzinfo=UTC)
    assert [day for day, _ in owed(changed, AT, since, datetime(2020, 3, 12, 11, tzinfo=UTC))] == [
        "2020-03-10",
        "2020-03-11",
    ]


def test_a_day_that_the_schedule_leaves_out_is_not_owed_and_fridays_is_owed_on_monday(deployment: Deployment) -> None:
    changed, _ = expecting(deployment)
    weekdays = changed.schedule.model_copy(update={"cron": "0 6 * * 1-5"})
    found = owed(changed.model_copy(update={"schedule": weekdays}), AT, LONG_AGO, datetime(2020, 3, 17, 11, tzinfo=UTC))
    assert [(day, due.date().isoformat()) for day, due in found[-3:]] == [
        ("2020-03-12", "2020-03-13"),
        ("2020-03-13", "2020-03-16"),
        ("2020-03-16", "2020-03-17"),
    ]


def test_a_pipeline_that_expects_nothing_owes_nothing(deployment: Deployment) -> None:
    changed = deployment.model_copy(update={"expected": None})
    assert owed(changed, AT, LONG_AGO, datetime(2020, 3, 12, 11, tzinfo=UTC)) == []
