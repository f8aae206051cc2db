"""The watch's requests to S3, Airflow and Slack are few, and do not grow with recorded days, missing days, entries or pipelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow_pages import airflow_pages
from counted_watch import CountedWatch, WatchRequests, counted_watch, generated_server, pin_releases, raw_of
from generated_ledger import GeneratedLedger
from live_servers import ROOT, free_ports
from stack_model import RAW_BUCKET, Ports, Secrets, Stack

from retrain.airflow.api import AirflowApi
from retrain.alerts.facts import BackfillFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.known_days import KnownDays
from retrain.alerts.watch.observe.observer import Observer
from retrain.deployment.pipeline_file import load
from retrain.store import s3 as store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.timeout(300)

MOST = 4  # requests to S3 in ten minutes for each pipeline, while no day is due
LOOKS = 40  # in ten minutes

Served = tuple[Stack, GeneratedLedger]


def served(tmp_path_factory: pytest.TempPathFactory, pipelines: int, days: int) -> Iterator[Served]:
    stack = Stack(ROOT, tmp_path_factory.mktemp("served"), Ports(*free_ports(6)), Secrets.generate())
    with generated_server(stack, pipelines, days) as made:
        yield stack, made


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Three pipelines of thirty days."""
    yield from served(tmp_path_factory, 3, 30)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One pipeline of three years: more days than a page of a listing holds."""
    yield from served(tmp_path_factory, 1, 1095)


@pytest.fixture
def fleet(many: Served, tmp_path: Path) -> Iterator[CountedWatch]:
    with counted_watch(*many, tmp_path) as counted:
        yield counted


@pytest.fixture
def alone(long: Served, tmp_path: Path) -> Iterator[CountedWatch]:
    with counted_watch(*long, tmp_path) as counted:
        yield counted


@pytest.fixture
def talking(many: Served, tmp_path: Path) -> Iterator[CountedWatch]:
    """With a Slack."""
    with counted_watch(*many, tmp_path, slack=True) as counted:
        yield counted


@pytest.fixture(params=["fleet", pytest.param("alone", marks=pytest.mark.slow)])
def counted(request: pytest.FixtureRequest) -> CountedWatch:
    """Each in turn: several pipelines, then many days."""
    found: CountedWatch = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def never_came(fleet: CountedWatch) -> Iterator[list[date]]:
    """Six days that never came to any pipeline; the day after them landed late, which ended their incidents."""
    days = [fleet.last - timedelta(days=number) for number in range(16, 9, -1)]
    removed = fleet.remove(*days)
    late = {url: body for url, body in removed.items() if f"dt={days[-1]}" in url}
    for day in days:
        fleet.at(day + timedelta(days=1), 15)
        fleet.look()
    fleet.put_back(late)
    fleet.look()
    yield days[:-1]
    fleet.put_back(removed)


def signal(counted: CountedWatch, number: int, step: Step = Step.TROUBLE, **fields: Any) -> Signal:
    """A signal of a task of the first pipeline: by default, `push` has failed."""
    plain = {"kind": Kind.TASK_FAILED, "task": "push", "partition": counted.made.last, "facts": {"task": "push"}}
    chosen = plain | fields
    at = counted.now.isoformat(timespec="milliseconds")
    return Signal(
        id=f"said {number}",
        at=at,
        step=step,
        pipeline=counted.made.pipelines[0],
        subject=chosen["task"] if chosen["kind"] else "",
        **chosen,
    )


def asked(counted: CountedWatch) -> WatchRequests:
    """What the parts that ask S3 and Airflow ask in ten minutes."""
    return counted.ten_minutes("observe", "signals", "situation")


def raw_listings(found: WatchRequests) -> int:
    """The requests that ask whether a day has landed."""
    return sum(path == RAW_BUCKET for _, path in found.s3)


def test_while_all_is_recorded_s3_is_asked_once_a_pipeline_and_then_nothing_however_many_days_there_are(
    counted: CountedWatch,
) -> None:
    first, then = asked(counted), asked(counted)
    assert first.s3_each == 1 <= MOST
    assert then.s3 == []
    counted.start()
    assert asked(counted).s3 == []  # it knows after a restart


def test_before_a_day_s_deadline_s3_is_asked_nothing(fleet: CountedWatch) -> None:
    fleet.look()
    fleet.at(fleet.last + timedelta(days=2), 9, 30)
    assert asked(fleet).s3 == []


def test_from_its_deadline_on_a_day_is_asked_for_in_each_look_and_reported_in_the_first(fleet: CountedWatch) -> None:
    fleet.look()
    fleet.at(fleet.last + timedelta(days=2), 10)
    found = asked(fleet)
    assert raw_listings(found) == LOOKS * len(fleet.made.pipelines)
    opened = [incident.opened_at for incident in fleet.watch.state.book.open()]
    assert opened == [f"{fleet.last + timedelta(days=2)}T10:00:00.000+00:00"] * len(fleet.made.pipelines)


@pytest.mark.slow
def test_of_days_that_wait_for_longer_than_a_day_few_are_asked_for_and_each_within_the_hour(
    fleet: CountedWatch,
) -> None:
    days = [fleet.last - timedelta(days=number) for number in (8, 7, 6)]
    removed = fleet.remove(*days)
    try:
        for day in days:
            fleet.at(day + timedelta(days=1), 15)
            fleet.look()
        assert {len(incident.missing) for incident in fleet.watch.state.book.open()} == {3}
        fleet.at(days[-1] + timedelta(days=2), 15)
        fleet.look()  # the next day, which has come
        assert 1 <= asked(fleet).s3_each <= MOST
    finally:
        fleet.put_back(removed)
    for _ in range(12):  # looks in the next hour: of many, those that matter
        fleet.now += timedelta(minutes=5)
        fleet.look()
    assert fleet.watch.state.book.open() == []


def test_days_that_never_came_cost_little_once_their_incident_has_ended_and_after_a_restart(
    fleet: CountedWatch, never_came: list[date]
) -> None:
    incidents = fleet.watch.state.book.incidents()
    assert [(i.open, i.missing) for i in incidents if i.key.kind is Kind.DATA_LATE] == [
        (False, [day.isoformat() for day in never_came])
    ] * len(fleet.made.pipelines)
    fleet.at(fleet.last + timedelta(days=1), 20)
    fleet.look()
    assert asked(fleet).s3_each <= MOST
    fleet.start()
    assert asked(fleet).s3_each <= MOST


def test_a_reported_run_of_a_day_that_never_came_is_seen_at_the_next_look_even_after_many_newer_days(
    fleet: CountedWatch, never_came: list[date]
) -> None:
    fleet.at(fleet.last + timedelta(days=1), 20)
    asked(fleet)
    days = [day.isoformat() for day in never_came]
    report(fleet, days[3])
    assert never_came_to(fleet) == [*days[:3], *days[4:]]
    newer = frozenset((fleet.last + timedelta(days=number)).isoformat() for number in range(100))
    KnownDays(fleet.settings.folder / "days").add(fleet.made.pipelines[0], landed=newer, recorded=newer)
    fleet.start()
    report(fleet, days[0])
    assert never_came_to(fleet) == [*days[1:3], *days[4:]]


def report(counted: CountedWatch, day: str) -> None:
    """The data of a day comes to the first pipeline, and a task reports its run; then the watch looks."""
    store.create(counted.client, f"{raw_of(counted.made.pipelines[0])}/dt={day}/_SUCCESS", b"")
    reported = signal(counted, int(day[-2:]), Step.GOOD, kind=None, task="record_run", partition=day)
    counted.watch.state.outbox.put(reported)
    counted.look()


def never_came_to(counted: CountedWatch) -> list[str]:
    """The days that the first pipeline's late data still misses."""
    late = Key(counted.made.pipelines[0], Kind.DATA_LATE, "")
    (left,) = [incident.missing for incident in counted.watch.state.book.incidents() if incident.key == late]
    return left


def test_a_message_reads_the_ledger_with_five_requests_however_many_days_there_are(counted: CountedWatch) -> None:
    counted.look()
    counted.watch.state.outbox.put(signal(counted, 1))
    assert len(asked(counted).s3) == 5
    (incident,) = counted.watch.state.book.open()
    assert incident.situation is not None
    assert incident.situation.last_good == counted.made.last
    assert incident.situation.champion is not None


@pytest.mark.parametrize("pipelines", [1, 10])
def test_airflow_is_asked_four_times_a_look_for_all_pipelines_together(s3: S3Client, pipelines: int) -> None:
    plain = load(ROOT / "dags" / "pipelines" / "trip_duration.yaml")
    names = tuple(f"pipeline_{number:02}" for number in range(pipelines))
    deployments = [plain.model_copy(update={"pipeline": name, "expected": None}) for name in names]
    begin = datetime(2020, 3, 11, 8, tzinfo=UTC)
    with airflow_pages() as pages:
        pin_releases(pages, names)
        observer = Observer(deployments, s3, AirflowApi(pages.url), begin)
        for look in range(LOOKS):
            observer.observe(begin + timedelta(seconds=15 * look), [])
            assert observer.problems == {}
    found = Counter(path.rpartition("/")[2] for path in pages.asked)
    assert found == {
        "token": 1,
        "health": LOOKS,
        "variables": LOOKS,
        "dagRuns": 2 * LOOKS - 1,  # failed runs, and runs of backfills that have changed
        "backfills": pipelines,  # once in ten minutes
        "dags": 1,
    }
    assert pages.connections == 1


def test_where_airflow_s_pages_are_smaller_no_row_is_lost() -> None:
    with airflow_pages() as pages:
        pages.largest_page = 40
        names = [f"pipeline_{number:03}" for number in range(90)]
        pin_releases(pages, tuple(names))
        for name in names:
            pages.runs.append({"dag_id": names[0], "dag_run_id": name, "run_after": name})
            pages.tasks.append({"dag_id": names[0], "dag_run_id": name, "task_id": "push", "state": "failed"})
        api = AirflowApi(pages.url)
        assert [run["dag_run_id"] for run in api.runs_of(names)] == names[::-1]
        assert [task["dag_run_id"] for task in api.failed_tasks(names[0], names)] == names
        assert api.known_dags(names) == set(names) == set(api.pin_texts(names))


def test_runs_of_one_id_that_failed_together_are_all_reported(s3: S3Client) -> None:
    plain = load(ROOT / "dags" / "pipelines" / "trip_duration.yaml")
    names = ("fares", "taxi")
    ended = "2020-03-11T07:00:00+00:00"
    with airflow_pages() as pages:
        for name in names:
            run = {"dag_id": name, "dag_run_id": "scheduled__1", "state": "failed", "end_date": ended}
            pages.runs.append({**run, "run_type": "scheduled", "conf": {}, "data_interval_start": ended})
            task = {"dag_id": name, "dag_run_id": "scheduled__1", "task_id": "push", "state": "failed"}
            pages.tasks.append({**task, "try_number": 1, "end_date": ended})
        deployments = [plain.model_copy(update={"pipeline": name, "expected": None}) for name in names]
        begin = datetime(2020, 3, 11, 6, tzinfo=UTC)
        observer = Observer(deployments, s3, AirflowApi(pages.url), begin)
        told = observer.observe(begin + timedelta(hours=2), [])
    assert [signal.pipeline for signal in told if signal.task == "push"] == list(names)


def test_a_backfill_costs_four_more_requests_a_look_however_many_runs_it_has(fleet: CountedWatch) -> None:
    fleet.look()
    backfill(fleet, 300, failed=30)
    fleet.look()
    fleet.now += timedelta(minutes=5)
    fleet.look()
    (found,) = [i for i in fleet.watch.state.book.open() if i.key.kind is Kind.BACKFILL]
    facts = BackfillFacts.read(found.facts)
    assert (facts.total, facts.done, facts.failed, facts.running) == (300, 70, 30, 200)
    assert len(found.troubles) == 30
    one = len(fleet.pages.asked)
    fleet.now += timedelta(seconds=15)
    fleet.turn("observe")
    assert len(fleet.pages.asked) - one == 4 + 4


def backfill(counted: CountedWatch, runs: int, *, failed: int) -> None:
    """A backfill of the first pipeline: 70 runs have succeeded, `failed` of them were killed before they could report it."""
    pipeline, moment = counted.made.pipelines[0], counted.now.isoformat()
    first = counted.last - timedelta(days=runs)
    described = {"id": 7, "dag_id": pipeline, "completed_at": None, "updated_at": moment, "is_paused": False}
    window = {"from_date": f"{first}T00:00:00+00:00", "to_date": f"{counted.last}T00:00:00+00:00"}
    counted.pages.backfills.append({**described, **window, "dag_run_conf": None})
    for number in range(runs):
        day = f"{first + timedelta(days=number)}T06:00:00+00:00"
        state = "success" if number < 70 else "failed" if number < 70 + failed else "queued"
        run = {"dag_id": pipeline, "dag_run_id": f"backfill__{day}", "state": state, "run_type": "backfill", "conf": {}}
        ended = {"end_date": None if state == "queued" else moment, "updated_at": moment}
        times = {"logical_date": day, "data_interval_start": day, "run_after": day}
        counted.pages.runs.append({**run, **ended, **times})
        if state == "failed":
            task = {"task_id": "push", "try_number": 1, "end_date": moment, "state": "failed"}
            counted.pages.tasks.append({**task, "dag_id": pipeline, "dag_run_id": run["dag_run_id"]})


def test_a_quiet_watch_asks_slack_only_whether_it_would_take_a_message(talking: CountedWatch) -> None:
    talking.turn("check")
    found = Counter(talking.ten_minutes("slack", "check").slack)
    assert found == {"auth.test": 10, "conversations.info": 10 * len(talking.made.pipelines)}


@pytest.mark.slow
def test_an_incident_of_three_hundred_entries_is_written_once_and_costs_nothing_more(talking: CountedWatch) -> None:
    for number in range(300):
        talking.watch.state.outbox.put(signal(talking, number))
    posting, then = (talking.ten_minutes("signals", "slack") for _ in range(2))
    assert Counter(posting.slack) == {"chat.postMessage": 301}
    assert posting.written == 301
    talking.start()
    after_a_restart = talking.ten_minutes("signals", "slack")
    assert (then.slack, after_a_restart.slack) == ([], [])
    assert (then.written, after_a_restart.written) == (0, 1)  # the message on top, to compare it with Slack's
