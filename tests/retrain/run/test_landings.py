"""Which runs S3's messages start."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retrain.deployment.sections import Raw
from retrain.errors import LandingError
from retrain.run.landings import refuse_others, runs

RAW = Raw(url="s3://raw-bucket/raw/yellow", window_days=3)


def record(key: str = "raw/yellow/dt%3D2020-03-10/_SUCCESS", bucket: str = "raw-bucket", **item: str) -> dict[str, Any]:
    described = {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0055AED6", **item}}
    return {"eventName": "ObjectCreated:Put", "eventTime": "2020-03-11T05:00:00Z", "s3": described}


def message(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Body": json.dumps({"Records": list(records)})}


def test_a_marker_starts_the_run_of_its_partition() -> None:
    assert runs([message(record())], RAW) == [
        {"trigger_run_id": "landed__2020-03-10__0055AED6", "conf": {"partition": "2020-03-10"}}
    ]


def test_a_message_that_sns_passed_on_says_the_same() -> None:
    passed_on = {"Body": json.dumps({"Type": "Notification", "Message": message(record())["Body"]})}
    assert runs([passed_on], RAW) == runs([message(record())], RAW)


def test_the_same_landing_told_twice_is_one_run_and_another_landing_of_the_day_is_another() -> None:
    again = record(sequencer="0055AED9")
    assert len(runs([message(record()), message(record(), record())], RAW)) == 1
    assert len(runs([message(again), message(record())], RAW)) == 2
    assert len(runs([message(record(versionId="v/1+ ")), message(record(versionId="v2"))], RAW)) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"Body": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})}, id="S3's test event"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-03-10/part-0.parquet")), id="data, not the marker"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-13-45/_SUCCESS")), id="no day of the calendar"),
        pytest.param(message(record(key="raw/yellow/dt%3D2020-03-10%3B+touch+x/_SUCCESS")), id="a command"),
        pytest.param(message(record(key="raw/yellow/tips/dt%3D2020-03-10/_SUCCESS")), id="a folder inside ours"),
        pytest.param(message({**record(), "eventName": "ObjectRemoved:Delete"}), id="a removal"),
    ],
)
def test_what_is_no_landing_of_ours_starts_nothing(other: dict[str, Any]) -> None:
    assert runs([other], RAW) == []
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
    assert runs(batch, RAW) == runs([message(record())], RAW)
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
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "raw-bucket"}, "object": {}}}]}',
    ],
)
def test_a_message_that_is_none_of_s3s_is_named_and_holds_up_no_other(body: str) -> None:
    batch = [{"Body": body}, message(record())]
    assert runs(batch, RAW) == runs([message(record())], RAW)
    refuse_others(batch[1:], RAW)
    with pytest.raises(LandingError, match="is not S3's"):
        refuse_others(batch, RAW)
