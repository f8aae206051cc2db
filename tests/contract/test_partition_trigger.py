"""The wait for a day's raw data: the sensor and its trigger's own code, on a real S3 server behind a proxy that counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from gate import Gate, gate_to
from live_servers import free_ports
from stack_model import REGION, Stack

from retrain.airflow.connections import Aws
from retrain.airflow.partition_trigger import PartitionTrigger
from retrain.deployment.sections import Raw
from retrain.errors import StoreForbiddenError, StoreUnreachableError
from retrain.run.landed import LandingRule, landed
from retrain.store import raw_landing
from retrain.tasks.wait_for_partition import PartitionSensor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = "2020-03-09"
DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)
DATA = f"dt={DAY}/part-00000-8a1f.parquet"
LONGEST = 60  # seconds that a test waits for the trigger


@pytest.fixture
def gate(s3_server: Stack, connection: Callable[..., str]) -> Iterator[Gate]:
    """Airflow's connection leads through it."""
    with gate_to(s3_server.s3_url) as gate:
        secrets = s3_server.secrets
        extra = {"endpoint_url": gate.url, "region_name": REGION}
        connection(
            "aws_default", conn_type="aws", login=secrets.s3_access_key, password=secrets.s3_secret_key, extra=extra
        )
        yield gate


@pytest.fixture
def put(s3: S3Client, folder: str) -> Callable[..., None]:
    """Writes objects below `raw.url`, one after another, each empty or with its name."""

    def write(*keys: str) -> None:
        for key in keys:
            s3.put_object(
                Bucket=folder, Key=f"raw/{key}", Body=b"" if key.endswith(("_SUCCESS", "/")) else key.encode()
            )

    return write


@pytest.fixture
def folder(bucket: Callable[..., str]) -> str:
    """The bucket with the raw data."""
    return bucket()


def raw_of(folder: str, **more: object) -> Raw:
    return Raw.model_validate({"url": f"s3://{folder}/raw", "window_days": 3, "give_up_after_hours": 12, **more})


def sensor_of(raw: Raw) -> PartitionSensor:
    return PartitionSensor(task_id="wait_for_partition", raw=raw, partition=DAY)


def deferred(raw: Raw) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as waits:
        sensor_of(raw).execute({})
    return waits.value


def remade(trigger: Any, **changed: object) -> PartitionTrigger:
    """The trigger as the triggerer makes it from the database, with some arguments changed."""
    path, arguments = trigger.serialize()
    made: PartitionTrigger = import_string(path)(**{**arguments, **changed})
    return made


async def event_of(trigger: PartitionTrigger) -> dict[str, str]:
    event = await asyncio.wait_for(anext(trigger.run()), LONGEST)
    found: dict[str, str] = event.payload
    return found


@pytest.mark.parametrize(
    ("raw", "before", "then"),
    [
        pytest.param({}, [DATA, f"dt={DAY}/hour=00/_SUCCESS"], f"dt={DAY}/_SUCCESS", id="in the folder"),
        pytest.param({"marker": "_committed_*"}, [DATA, f"dt={DAY}/_started_1"], f"dt={DAY}/_committed_1", id="a star"),
        pytest.param({"marker": "/done/{partition}.ok"}, [DATA, "done/2020-03-08.ok"], f"done/{DAY}.ok", id="dated"),
        pytest.param({"marker": "/_SUCCESS"}, ["_SUCCESS", "dt=2020-03-08/a", f"dt={DAY}/"], DATA, id="for all days"),
        pytest.param(
            {"partition": "trips_{year}{month}{day}.csv", "marker": "/trips_{year}{month}{day}.csv.md5"},
            ["trips_20200309.csv"],
            "trips_20200309.csv.md5",
            id="of a file",
        ),
    ],
)
def test_the_run_waits_in_the_triggerer_until_its_day_has_landed_and_then_goes_on(
    gate: Gate, folder: str, put: Callable[..., None], raw: dict[str, object], before: list[str], then: str
) -> None:
    found = raw_of(folder, **raw)
    put(*before)
    waits = deferred(found)
    assert (waits.method_name, waits.timeout) == ("execute_complete", timedelta(hours=12))

    async def land_meanwhile() -> dict[str, str]:
        asked, looked_often = Counter[str](), Event()

        def note(method: str, *_: object) -> None:
            asked[method] += 1
            if asked["GET"] > 4:
                looked_often.set()

        gate.own_answer = note
        waiting = asyncio.create_task(event_of(remade(waits.trigger, poke_seconds=0.05)))
        assert await asyncio.to_thread(looked_often.wait, LONGEST)
        assert not waiting.done()
        # A marker of all days stands for what is not newer, so that it comes again after the data.
        await asyncio.to_thread(put, then, *(["_SUCCESS"] if "_SUCCESS" in before else []))
        return await waiting

    event = asyncio.run(land_meanwhile())
    assert event == {"status": "landed"}
    assert sensor_of(found).resume_execution("execute_complete", {"event": event}, {}) is None
    assert sensor_of(found).execute({}) is None  # as after a retry: it is there, so nothing is deferred


def test_without_a_marker_the_run_waits_until_no_object_has_come_for_long(
    gate: Gate, folder: str, put: Callable[..., None]
) -> None:
    found = raw_of(folder, marker=None, quiet_minutes=30)
    put(f"dt={DAY}/_temporary/a", f"dt={DAY}/")
    trigger = deferred(found).trigger
    put(DATA)
    assert isinstance(deferred(found).trigger, PartitionTrigger)  # the object is new
    event = asyncio.run(event_of(remade(trigger, quiet_minutes=0, poke_seconds=0.05)))
    assert event == {"status": "landed"}
    assert gate.passed


def test_the_clock_of_a_quiet_time_is_s3_s_so_that_a_day_of_long_ago_is_taken_at_once(
    gate: Gate, folder: str, put: Callable[..., None]
) -> None:
    put(DATA)
    client, rule = Aws("aws_default").client(), LandingRule.of(raw_of(folder, marker=None, quiet_minutes=30))
    now = datetime.now(UTC)

    def at(minutes: int) -> bool:
        """As asked that long after the object was written, by S3's clock."""

        def answered(parsed: dict[str, Any], **_: object) -> None:
            date = format_datetime(now + timedelta(minutes=minutes), usegmt=True)
            parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = date

        client.meta.events.register("after-call.s3.ListObjectsV2", answered, unique_id="clock")
        try:
            return raw_landing.has_landed(client, f"s3://{folder}/raw", rule, DAY)
        finally:
            client.meta.events.unregister("after-call.s3.ListObjectsV2", answered, unique_id="clock")

    assert [at(29), at(32)] == [False, True]
    assert len(gate.passed) == 2


@pytest.mark.parametrize("marker", ["/_SUCCESS", "/_done/{partition}_SUCCESS"])
def test_a_marker_that_is_written_between_two_listings_does_not_vouch_for_what_the_other_has_not_seen(
    gate: Gate, folder: str, put: Callable[..., None], marker: str
) -> None:
    found = raw_of(folder, marker=marker)
    put(DATA)
    client, asked = Aws("aws_default").client(), list[str]()

    def landing_meanwhile(method: str, path: str, _: object) -> None:
        if method == "GET":
            asked.append(path)
        if len(asked) == 2:
            put(f"dt={DAY}/part-00001-8a1f.parquet", marker[1:].format(partition=DAY))

    gate.own_answer = landing_meanwhile
    rule = LandingRule.of(found)
    listing, now = raw_landing.listing_of(client, found.url, rule, [DAY])
    assert len(asked) == 2
    assert landed(rule, listing, [DAY], now) == {}
    listing, now = raw_landing.listing_of(client, found.url, rule, [DAY])
    assert [len(objects) for objects in landed(rule, listing, [DAY], now).values()] == [2]


@pytest.mark.parametrize(
    ("raw", "present", "requests"),
    [
        pytest.param({}, [], 1, id="a marker in the folder"),
        pytest.param({}, [DATA, f"dt={DAY}/_SUCCESS"], 1, id="a marker that is there"),
        pytest.param({"marker": "_committed_*"}, [DATA], 1, id="a star"),
        pytest.param({"marker": None, "quiet_minutes": 1}, [DATA], 1, id="no marker"),
        pytest.param({"marker": "/_SUCCESS"}, ["_SUCCESS"], 1, id="one marker of all days, no data"),
        pytest.param({"marker": "/_SUCCESS"}, ["_SUCCESS", DATA], 2, id="one marker of all days"),
    ],
)
def test_a_look_costs_one_request_and_one_more_for_a_marker_of_all_days(
    gate: Gate, folder: str, put: Callable[..., None], raw: dict[str, object], present: list[str], requests: int
) -> None:
    put(*present)
    found = raw_of(folder, **raw)
    raw_landing.has_landed(Aws("aws_default").client(), found.url, LandingRule.of(found), DAY)
    assert [method for method, _ in gate.passed] == ["GET"] * requests


@pytest.mark.parametrize(
    ("raw", "requests"),
    [
        pytest.param({}, 1, id="a marker in the folder"),
        pytest.param({"partition": "*/{partition}"}, 1, id="a star"),
        pytest.param({"marker": "/_SUCCESS"}, 2, id="one marker of all days"),
        pytest.param({"marker": "/done/{partition}.ok"}, 2, id="a marker elsewhere"),
        pytest.param({"marker": None, "quiet_minutes": 1}, 2, id="no marker: S3's clock"),
    ],
)
def test_the_listing_of_a_window_costs_one_request_more_for_markers_elsewhere_and_for_s3_s_clock(
    gate: Gate, folder: str, put: Callable[..., None], raw: dict[str, object], requests: int
) -> None:
    found = raw_of(folder, **raw)
    put(*(f"dt=2020-03-0{day}/{name}" for day in range(1, 10) for name in ("a", "_SUCCESS")), "done/2020-03-09.ok")
    window = [f"2020-03-0{day}" for day in range(1, 10)]
    raw_landing.listing_of(Aws("aws_default").client(), found.url, LandingRule.of(found), window)
    assert [method for method, _ in gate.passed] == ["GET"] * requests


def test_a_role_without_the_permission_to_list_is_told_which_one_it_lacks(gate: Gate, folder: str) -> None:
    trigger = deferred(raw_of(folder)).trigger
    gate.own_answer = lambda *_: (403, DENIED)
    event = asyncio.run(event_of(remade(trigger)))
    place = f"s3://{folder}/raw/dt={DAY}/_SUCCESS"
    assert event == {"status": "refused", "code": "AccessDenied", "action": "ListObjectsV2", "place": place}
    with pytest.raises(
        StoreForbiddenError, match=rf"{place}\. Give the role s3:ListBucket, then clear wait_for_partition"
    ):
        sensor_of(raw_of(folder)).resume_execution("execute_complete", {"event": event}, {})
    with pytest.raises(StoreForbiddenError, match="Give the role s3:ListBucket"):
        sensor_of(raw_of(folder)).execute({})


def test_an_s3_that_does_not_answer_ends_the_wait_with_the_stores_error(
    connection: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    extra = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": REGION}
    connection("aws_default", conn_type="aws", login="a", password="b", extra=extra)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    raw = raw_of("raw-bucket")
    trigger = PartitionTrigger(
        url=raw.url,
        day=DAY,
        pattern=raw.partition,
        marker=raw.marker,
        quiet_minutes=None,
        poke_seconds=1,
        aws_conn_id="aws_default",
    )
    event = asyncio.run(event_of(trigger))
    assert (event["status"], event["action"]) == ("unanswered", "ListObjectsV2")
    with pytest.raises(StoreUnreachableError, match=r"dt=2020-03-09/_SUCCESS .* Clear wait_for_partition when it does"):
        sensor_of(raw).resume_execution("execute_complete", {"event": event}, {})
