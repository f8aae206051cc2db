"""Which objects are a day's data, and which days have landed, for the layouts in which producers write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from retrain.deployment.sections import Raw
from retrain.run.landed import LandingRule, data_by_day, landed
from retrain.run.raw_layout import RawLayout

DAY, BEFORE, AFTER = "2020-03-09", "2020-03-08", "2020-03-10"
AT = datetime(2020, 3, 10, 1, tzinfo=UTC)
SPARK = "part-00000-8a1f7b2c-c000.snappy.parquet"


@dataclass(frozen=True)
class Object:
    key: str
    written: datetime = AT
    size: int = 10


def rule(**raw: object) -> LandingRule:
    return LandingRule.of(Raw.model_validate({"url": "s3://raw-bucket/raw", "window_days": 3, **raw}))


def days(found: LandingRule, *objects: Object | str, now: datetime = AT + timedelta(hours=1)) -> list[str]:
    """The days of a window of three that have landed."""
    listing = [Object(each) if isinstance(each, str) else each for each in objects]
    return sorted(landed(found, listing, [BEFORE, DAY, AFTER], now))


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("dt={partition}", f"dt={DAY}/{SPARK}"),
        ("ds={partition}", f"ds={DAY}/hour=23/{SPARK}"),
        ("year={year}/month={month}/day={day}", "year=2020/month=03/day=09/part-0.csv.gz"),
        ("{year}/{month}/{day}", "2020/03/09/05/stream-1-2020-03-09-05-00-07-8a1f"),  # Firehose: yyyy/MM/dd/HH
        ("{partition}", f"{DAY}/any name (1).csv"),
        ("trips_{year}{month}{day}.csv", "trips_20200309.csv"),
        ("*/orders-{partition}-*.csv", f"emea/orders-{DAY}-0001.csv"),
        ("{year}/{partition}.jsonl", f"2020/{DAY}.jsonl"),
        ("export={partition}/*/data", f"export={DAY}/eu/data/a/b.json"),
        ("_raw/dt={partition}", f"_raw/dt={DAY}/part-0.parquet"),  # hidden by intention
        ("{partition}.parquet", f"{DAY}.parquet/{SPARK}"),  # Spark's "file" is a folder
        ("*{year}{month}{day}*.csv", "shop12_20200309120000.csv"),  # with the time
        ("*{year}{month}{day}*.csv", "00012345 20200309 (1).csv"),  # a number before it
        ("*{partition}*.csv", f"from {DAY} to 2020-03-10.csv"),
    ],
)
def test_an_object_belongs_to_the_day_in_its_key(pattern: str, key: str) -> None:
    assert RawLayout(pattern).day_of(key) == DAY


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        pytest.param("dt={partition}", f"dt={DAY}/_committed_1", id="a hidden file"),
        pytest.param("dt={partition}", f"dt={DAY}/_temporary/0/{SPARK}", id="in a hidden folder"),
        pytest.param("dt={partition}", f"dt={DAY}/.part-0.crc", id="a dot file"),
        pytest.param("dt={partition}", f"dt={DAY}/hour=00/_SUCCESS", id="the marker of an hour"),
        pytest.param("dt={partition}", f"dt={DAY}/", id="a folder object"),
        pytest.param("dt={partition}", f"dt={DAY}_$folder$", id="Hadoop's folder object"),
        pytest.param("dt={partition}", f"dt={DAY}/hour=00_$folder$", id="Hadoop's folder object below"),
        pytest.param("dt={partition}", f"_temporary/dt={DAY}/{SPARK}", id="above the partition"),
        pytest.param("*/dt={partition}", f"_delta_log/dt={DAY}/{SPARK}", id="hidden under a star"),
        pytest.param("dt={partition}", f"dt={DAY}-backup/{SPARK}", id="a longer name"),
        pytest.param("dt={partition}", "dt=2020-02-30/part-0.parquet", id="no day of the calendar"),
        pytest.param("dt={partition}", "dt=٢٠٢٠-٠٣-٠٩/part-0.parquet", id="other digits"),
        pytest.param("{year}/{partition}.jsonl", f"2019/{DAY}.jsonl", id="two dates that differ"),
        pytest.param("trips_{year}{month}{day}.csv", "trips_2020031.csv", id="a short date"),
        pytest.param("dt={partition}", "zones.csv", id="no date"),
    ],
)
def test_what_is_hidden_stands_for_a_folder_or_has_no_date_is_no_data(pattern: str, key: str) -> None:
    assert RawLayout(pattern).day_of(key) is None


def test_an_empty_object_is_a_file_unless_it_has_the_name_of_a_folder() -> None:
    layout = RawLayout("dt={partition}")
    folder = [Object(f"dt={DAY}", size=0), Object(f"dt={DAY}/a.csv", size=0)]
    assert [each.key for each in data_by_day(layout, folder)[DAY]] == [f"dt={DAY}/a.csv"]
    inner = [Object(f"dt={DAY}/hour=00", size=0), Object(f"dt={DAY}/hour=00-x"), Object(f"dt={DAY}/hour=00/a.csv")]
    assert [each.key for each in data_by_day(layout, inner)[DAY]] == [f"dt={DAY}/hour=00-x", f"dt={DAY}/hour=00/a.csv"]
    for only in ("_SUCCESS", "_temporary/a", ".part-0.crc"):  # of a folder without data
        assert data_by_day(layout, [Object(f"dt={DAY}", size=0), Object(f"dt={DAY}/{only}")]) == {}
    empty = [Object("trips_20200309.csv", size=0)]
    assert data_by_day(RawLayout("trips_{year}{month}{day}.csv"), empty) == {DAY: empty}


@pytest.mark.parametrize(
    ("raw", "markers"),
    [
        pytest.param({}, [f"dt={DAY}/_SUCCESS"], id="in the folder"),
        pytest.param({"marker": "_committed_*"}, [f"dt={DAY}/_started_7", f"dt={DAY}/_committed_7"], id="Databricks"),
        pytest.param({"marker": "/_done/{partition}.ok"}, [f"_done/{DAY}.ok"], id="beside the folders, dated"),
        pytest.param({"marker": "/{year}{month}{day}-*.done"}, ["20200309-a.done"], id="dated, of any name"),
        pytest.param(
            {"partition": "year={year}/month={month}/day={day}", "marker": "{partition}.done"},
            [f"year=2020/month=03/day=09/{DAY}.done"],
            id="dated twice",
        ),
        pytest.param(
            {"partition": "trips_{year}{month}{day}.csv", "marker": "/trips_{year}{month}{day}.csv.md5"},
            ["trips_20200309.csv.md5"],
            id="beside the file",
        ),
    ],
)
def test_a_day_with_its_own_marker_has_landed_and_the_marker_is_no_data(
    raw: dict[str, object], markers: list[str]
) -> None:
    found = rule(**raw)
    assert days(found, *markers) == [DAY]
    assert days(found, *markers[:-1]) == []
    assert [found.layout.day_of(key) for key in markers] == [None] * len(markers)
    assert data_by_day(found.layout, [Object(key) for key in markers]) == {}


@pytest.mark.parametrize(
    "key",
    [
        f"dt={DAY}/hour=00/_SUCCESS",
        f"dt={DAY}/_SUCCESS.crc",
        f"dt={DAY}-backup/_SUCCESS",
        "_SUCCESS",
        f"x/dt={DAY}/_SUCCESS",
    ],
)
def test_another_file_of_that_name_does_not_let_a_day_land(key: str) -> None:
    assert days(rule(), key, f"dt={DAY}/{SPARK}") == []


def test_one_marker_of_all_days_stands_for_the_objects_that_are_not_newer() -> None:
    found, second = rule(marker="/_SUCCESS"), timedelta(seconds=1)
    before, same, newer = (
        Object(f"dt={d}/a", AT + t) for d, t in ((BEFORE, -second), (DAY, 0 * second), (AFTER, second))
    )
    assert days(found, before, same, newer) == []
    assert days(found, before, same, newer, "_SUCCESS") == [BEFORE, DAY]
    assert days(found, before, same, newer, Object("_SUCCESS", AT + second)) == [BEFORE, DAY, AFTER]
    assert days(found, before, Object(f"dt={DAY}/b", AT + second), same, "_SUCCESS") == [
        BEFORE
    ]  # its newest object counts
    assert days(found, "_SUCCESS") == []  # a day needs an object


def test_a_marker_of_a_month_stands_for_the_days_of_that_month() -> None:
    found = rule(marker="/{year}-{month}.done")
    listing = (Object("dt=2020-03-09/a"), Object("dt=2020-02-29/a"), Object("2020-02.done"))
    assert sorted(landed(found, listing, ["2020-02-29", DAY], AT)) == ["2020-02-29"]


def test_without_a_marker_a_day_has_landed_when_its_newest_object_is_old_enough() -> None:
    found = rule(marker=None, quiet_minutes=30)
    listing = (Object(f"dt={DAY}/a", AT - timedelta(days=400)), Object(f"dt={DAY}/b", AT), Object(f"dt={BEFORE}/a", AT))
    assert days(found, *listing, now=AT + timedelta(minutes=30) - timedelta(seconds=1)) == []
    assert days(found, *listing, now=AT + timedelta(minutes=30)) == [BEFORE, DAY]
    late = Object(f"dt={DAY}/c", AT + timedelta(minutes=20))
    assert days(found, *listing, late, now=AT + timedelta(minutes=30)) == [BEFORE]


def test_a_file_that_is_still_hidden_does_not_keep_a_quiet_day_waiting_and_does_not_let_it_land() -> None:
    found, now = rule(marker=None, quiet_minutes=30), AT + timedelta(hours=1)
    assert days(found, Object(f"dt={DAY}/a", AT), Object(f"dt={DAY}/_temporary/b", now), now=now) == [DAY]
    assert days(found, f"dt={DAY}/_temporary/b", f"dt={DAY}/", now=now) == []


@pytest.mark.parametrize(
    ("raw", "prefixes"),
    [
        ({}, [f"dt={DAY}/_SUCCESS"]),
        ({"marker": "_committed_*"}, [f"dt={DAY}/_committed_"]),
        ({"marker": "/done/{partition}"}, [f"done/{DAY}"]),
        ({"marker": "/_SUCCESS"}, [f"dt={DAY}", "_SUCCESS"]),
        ({"marker": None, "quiet_minutes": 5, "partition": "{year}/{month}/{day}"}, ["2020/03/09"]),
        ({"marker": None, "quiet_minutes": 5, "partition": "*/{partition}.csv"}, [""]),
    ],
)
def test_a_look_lists_what_can_show_that_the_day_has_landed_and_no_more(
    raw: dict[str, object], prefixes: list[str]
) -> None:
    assert list(rule(**raw).prefixes(DAY)) == prefixes


@pytest.mark.parametrize(
    ("pattern", "bounds"),
    [
        ("dt={partition}", (f"dt={BEFORE}", f"dt={AFTER}")),
        ("year={year}/month={month}/day={day}", ("year=2020/month=03/day=08", "year=2020/month=03/day=10")),
        ("{year}/{partition}-*.csv", (f"2020/{BEFORE}-", f"2020/{AFTER}-")),
        ("in/{day}.{month}.{year}", ("in/", "in/")),  # does not sort as the days do
        ("in/*/{partition}", ("in/", "in/")),
        ("{year}/{month}/*_{day}.csv", ("2020/03/", "2020/03/")),
        ("{year}/*/{partition}.csv", ("2020/", "2020/")),
    ],
)
def test_the_listing_of_a_window_is_bounded_where_keys_sort_as_their_days(
    pattern: str, bounds: tuple[str, str]
) -> None:
    assert RawLayout(pattern).listing_range([DAY, AFTER, BEFORE]) == bounds


@pytest.mark.parametrize(
    ("marker", "bounds"),
    [
        ("_SUCCESS", None),
        (None, None),
        ("/_SUCCESS", ("_SUCCESS", "_SUCCESS")),
        ("/done/{partition}.ok", (f"done/{BEFORE}.ok", f"done/{AFTER}.ok")),
        ("/*.ok", ("", "")),
    ],
)
def test_markers_outside_the_partitions_have_a_listing_of_their_own(
    marker: str | None, bounds: tuple[str, str] | None
) -> None:
    assert RawLayout("dt={partition}", marker).marker_range([DAY, AFTER, BEFORE]) == bounds


def test_each_object_is_matched_once_however_many_days_the_window_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = RawLayout.day_of
    monkeypatch.setattr(RawLayout, "day_of", lambda layout, key: asked.append(key) or plain(layout, key))
    window = [(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number)).date().isoformat() for number in range(366)]
    listing = [Object(f"dt={day}/{name}") for day in window for name in ("a", "b", "_SUCCESS")]
    assert len(landed(rule(), listing, window, AT)) == len(window)
    assert len(asked) == len(listing)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, f"s3://raw-bucket/raw/dt={DAY}/_SUCCESS"),
        (
            {"marker": "/_SUCCESS"},
            f"objects of s3://raw-bucket/raw/dt={DAY}, and then s3://raw-bucket/raw/_SUCCESS, not older than they are",
        ),
        (
            {"marker": None, "quiet_minutes": 30},
            f"objects of s3://raw-bucket/raw/dt={DAY}, and then none for 30 minutes",
        ),
    ],
)
def test_what_is_awaited_is_said_in_words(raw: dict[str, object], said: str) -> None:
    assert rule(**raw).awaited("s3://raw-bucket/raw", DAY) == said
