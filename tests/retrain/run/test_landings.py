"""Which runs S3's messages start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pytest

from retrain.deployment.sections import Raw, Schedule
from retrain.errors import LandingError
from retrain.run import landings
from retrain.run.landings import refuse_others

RAW = Raw(url="s3://raw-bucket/raw/yellow", window_days=3)
ROOT = Raw(url="s3://raw-bucket", window_days=3)
DAILY = Schedule(cron="0 6 * * *", start_date=date(2020, 1, 1))
WEEKDAYS = Schedule(cron="0 6 * * 1-5", start_date=date(2020, 1, 1))


def runs(found: Iterable[Mapping[str, Any]], raw: Raw = RAW, schedule: Schedule = DAILY) -> list[dict[str, Any]]:
    return landings.runs(found, raw, schedule)


def started(*found: Mapping[str, Any], raw: Raw = RAW) -> list[str]:
    """The ids of the runs that these messages start; none of them is unknown or another pipeline's."""
    refuse_others(found, raw)
    return [run["trigger_run_id"] for run in runs(found, raw)]


def record(key: str = "raw/yellow/dt%3D2020-03-10/_SUCCESS", bucket: str = "raw-bucket", **item: str) -> dict[str, Any]:
    described = {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055AED6", **item}}
    return {"eventName": "ObjectCreated:Put", "eventTime": "2020-03-11T05:00:00Z", "s3": described}


def message(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Body": json.dumps({"Records": list(records)})}


def test_a_marker_starts_the_run_of_its_partition() -> None:
    assert runs([message(record())]) == [
        {"trigger_run_id": "landed__2020-03-10__0055AED6", "conf": {"partition": "2020-03-10"}}
    ]


def event(key: str = "raw/yellow/dt=2020-03-10/_SUCCESS", **item: str) -> dict[str, Any]:
    """EventBridge's event about a created object, as the documentation of S3 shows it. It does not quote the key."""
    described = {"key": key, "size": 5, "etag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6", **item}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2020-03-11T05:00:00Z",
        "region": "ca-central-1",
        "resources": ["arn:aws:s3:::raw-bucket"],
        "detail": {
            "version": "0",
            "bucket": {"name": "raw-bucket"},
            "object": described,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def by_eventbridge(**item: str) -> dict[str, Any]:
    return {"Body": json.dumps(event(**item))}


def by_sns(body: str, **envelope: str) -> dict[str, Any]:
    said = {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:landed", "Message": body, **envelope}
    return {"Body": json.dumps(said)}


@pytest.mark.parametrize(
    "passed_on",
    [
        pytest.param(by_sns(message(record())["Body"]), id="SNS, with its envelope"),
        pytest.param(by_eventbridge(), id="EventBridge"),
        pytest.param(by_sns(json.dumps(event())), id="EventBridge by SNS, with its envelope"),
    ],
)
def test_a_message_that_another_service_passed_on_says_the_same(passed_on: dict[str, Any]) -> None:
    assert runs([passed_on]) == runs([message(record())])
    refuse_others([passed_on], RAW)


def test_a_key_of_eventbridge_is_not_quoted_and_one_of_s3_itself_is() -> None:
    raw = RAW.model_copy(update={"url": "s3://raw-bucket/100%25"})
    assert started(by_eventbridge(key="100%25/dt=2020-03-10/_SUCCESS"), raw=raw)
    assert started(message(record(key="100%2525/dt%3D2020-03-10/_SUCCESS")), raw=raw)


def test_a_bucket_without_versions_tells_its_landings_apart_by_their_sequencers() -> None:
    for nothing in ("", "null"):
        assert started(by_eventbridge(**{"version-id": nothing})) == ["landed__2020-03-10__0055AED6"]
        assert started(message(record(versionId=nothing))) == ["landed__2020-03-10__0055AED6"]
    assert started(by_eventbridge(**{"version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"})) == [
        "landed__2020-03-10__IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
    ]


def test_data_at_a_buckets_root_starts_its_run_and_a_folder_of_the_bucket_does_not() -> None:
    assert started(message(record(key="dt%3D2020-03-10/_SUCCESS")), raw=ROOT) == ["landed__2020-03-10__0055AED6"]
    assert started(message(record(key="raw/dt%3D2020-03-10/_SUCCESS")), raw=ROOT) == []


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        pytest.param(
            {"partition": "year={year}/month={month}/day={day}"}, "year=2020/month=03/day=10/_SUCCESS", id="as Hive"
        ),
        pytest.param(
            {"partition": "{year}/{month}/{day}", "marker": "*.done"}, "2020/03/10/part-7.done", id="any name"
        ),
        pytest.param({"marker": "/markers/{partition}.ok"}, "markers/2020-03-10.ok", id="in a folder of its own"),
        pytest.param({"marker": "/*/{year}{month}{day}"}, "daily/20200310", id="a date in its name"),
        pytest.param(
            {"partition": "orders_{year}{month}{day}.csv", "marker": "/{year}{month}{day}._COMPLETE"},
            "20200310._COMPLETE",
            id="beside a file with the date in its name",
        ),
    ],
)
def test_a_dated_marker_of_any_layout_starts_its_day_and_nothing_else_does(layout: dict[str, Any], key: str) -> None:
    raw = Raw(url="s3://raw-bucket/raw", window_days=1, **layout)
    assert started(by_eventbridge(key=f"raw/{key}"), raw=raw) == ["landed__2020-03-10__0055AED6"]
    others = (
        f"raw/{key}.tmp",
        f"raw/{key}/a.csv",
        f"raw/old/{key}/_SUCCESS",
        "raw/2020/03/10/a.csv",
        "raw/dt=2020-03-10/a.csv",
    )
    assert started(*(by_eventbridge(key=other) for other in others), raw=raw) == []


QUIET = Raw(url="s3://raw-bucket/raw", window_days=1, marker=None, quiet_minutes=30)
COMMON = Raw(url="s3://raw-bucket/raw", window_days=1, marker="/_SUCCESS")


def written(key: str, at: str, sequencer: str) -> dict[str, Any]:
    return {"Body": json.dumps({**event(key, sequencer=sequencer), "time": f"2020-03-11T{at}Z"})}


@pytest.mark.parametrize(
    ("raw", "begin", "end", "later"),
    [
        pytest.param(QUIET, "05:30:00", "05:59:59", "06:00:00", id="no marker: spans of quiet_minutes"),
        pytest.param(COMMON, "05:50:00", "05:59:59", "06:00:00", id="one marker for all days: spans of ten minutes"),
    ],
)
def test_without_a_marker_of_the_day_its_objects_of_one_span_start_one_run(
    raw: Raw, begin: str, end: str, later: str
) -> None:
    first = written("raw/dt=2020-03-10/part-0.parquet", begin, "1")
    second = written("raw/dt=2020-03-10/part-1.parquet", end, "2")
    third = written("raw/dt=2020-03-10/part-1.parquet", later, "3")
    other_day = written("raw/dt=2020-03-09/part-0.parquet", begin, "4")
    own = f"landed__2020-03-10__20200311T{begin[:5].replace(':', '')}Z"
    assert started(first, second, raw=raw) == started(second, raw=raw) == [own]
    assert started(second, third, raw=raw) == [own, "landed__2020-03-10__20200311T0600Z"]
    assert started(first, other_day, raw=raw) == [own, own.replace("03-10__", "03-09__")]


@pytest.mark.parametrize("raw", [QUIET, COMMON])
@pytest.mark.parametrize(
    "key", ["_SUCCESS", "dt=2020-03-10/_committed_1", "dt=2020-03-10/", "dt=2020-03-10/.part-0.crc", "a.csv"]
)
def test_what_is_no_data_of_a_day_starts_no_run_of_a_pipeline_without_markers_of_days(raw: Raw, key: str) -> None:
    assert started(written(f"raw/{key}", "05:30:00", "1"), raw=raw) == []


def test_a_record_without_a_time_is_a_landing_of_its_own() -> None:
    timeless = {key: value for key, value in record(key="raw/dt%3D2020-03-10/a.csv").items() if key != "eventTime"}
    assert started(message(timeless), raw=QUIET) == ["landed__2020-03-10__0055AED6"]


def test_a_day_that_the_schedule_leaves_out_is_not_started_by_its_data() -> None:
    days = [f"2020-03-{day:02}" for day in range(6, 11)]  # a Friday to a Tuesday
    found = [by_eventbridge(key=f"raw/yellow/dt={day}/_SUCCESS") for day in days]
    assert [run["conf"]["partition"] for run in runs(found, RAW, WEEKDAYS)] == [
        "2020-03-06",
        "2020-03-09",
        "2020-03-10",
    ]
    assert len(runs(found)) == 5
    refuse_others(found, RAW)


def test_the_same_landing_told_twice_is_one_run_and_another_landing_of_the_day_is_another() -> None:
    again = record(sequencer="0055AED9")
    assert len(runs([message(record()), message(record(), record())])) == 1
    assert len(runs([message(again), message(record())])) == 2
    assert len(runs([message(record(versionId="v/1+ ")), message(record(versionId="v2"))])) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"Body": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})}, id="S3's test event"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-03-10/part-0.parquet")), id="data, not the marker"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-13-45/_SUCCESS")), id="no day of the calendar"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-03-10%3B+touch+x/_SUCCESS")), id="a command"),
        pytest.param(message(record(key="raw/yellow/tips/dt%3D2020-03-10/_SUCCESS")), id="a folder inside ours"),
        pytest.param(message({**record(), "eventName": "ObjectRemoved:Delete"}), id="a removal"),
        pytest.param(
            {"Body": json.dumps({**event(), "detail-type": "Object Deleted"})}, id="a removal that EventBridge reports"
        ),
    ],
)
def test_what_is_no_landing_of_ours_starts_nothing(other: dict[str, Any]) -> None:
    assert runs([other]) == []
    refuse_others([other], RAW)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(record(key="raw/green/dt%3D2020-03-10/_SUCCESS"), id="other data"),
        pytest.param(record(key="raw/yellow-old/dt%3D2020-03-10/_SUCCESS"), id="a folder whose name goes on"),
        pytest.param(record(bucket="other"), id="another bucket"),
    ],
)
def test_a_message_of_another_pipeline_is_named_and_holds_up_no_other(other: dict[str, Any]) -> None:
    batch = [message(other), message(record())]
    assert runs(batch) == runs([message(record())])
    with pytest.raises(
        LandingError, match=rf"s3://{other['s3']['bucket']['name']}/raw/.*is not below s3://raw-bucket/raw/yellow"
    ):
        refuse_others(batch, RAW)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "no JSON",
        '{"Records": [{}]}',
        '{"Message": "x"}',
        "{}",
        '{"Records": []}',
        '{"Records": [{"eventSource": "aws:kinesis", "eventName": "aws:kinesis:record", "kinesis": {}}]}',
        '{"source": "aws.s3", "detail-type": "Object Created"}',
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "raw-bucket"}, "object": {}}}',
        '{"source": "aws.s3", "detail": {}}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "raw-bucket"}, "object": {}}}]}',
    ],
)
def test_a_message_that_is_none_of_s3s_is_named_and_holds_up_no_other(body: str) -> None:
    batch = [{"Body": body}, message(record())]
    assert runs(batch) == runs([message(record())])
    refuse_others(batch[1:], RAW)
    with pytest.raises(LandingError, match="is not S3's"):
        refuse_others(batch, RAW)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(
            json.dumps({**event(), "detail-type": "AWS API Call via CloudTrail"}),
            "an event of aws.s3 with the detail-type AWS API Call via CloudTrail",
            id="CloudTrail's event about a request to S3",
        ),
        pytest.param(
            json.dumps({**event(), "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"}),
            "an event of aws.ec2 with the detail-type EC2 Instance",
            id="an event of another service",
        ),
        pytest.param(
            by_sns("You have chosen to subscribe", Type="SubscriptionConfirmation", Token="2336412f37")["Body"],
            "a message of SNS with the type SubscriptionConfirmation",
            id="a subscription that nobody has confirmed",
        ),
        pytest.param(
            '{"bucket": "b", "key": "k"}', "a document with the keys bucket, key", id="somebody's own message"
        ),
    ],
)
def test_an_unknown_message_is_named_by_what_it_is(body: str, said: str) -> None:
    with pytest.raises(LandingError, match=rf"not S3's: {said}") as caught:
        refuse_others([{"Body": body}], RAW)
    assert "2336412f37" not in str(caught.value)
