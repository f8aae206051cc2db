"""The listings that are asked for to see whether a day has landed, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retrain.run.landed import LandingRule
from retrain.run.raw_layout import RawLayout
from retrain.store import raw_landing

DAY, URL = "2020-03-09", "s3://raw-bucket/raw"
AT = datetime(2020, 3, 10, 6, tzinfo=UTC)


def page(*keys: str, date: datetime | None = AT, more: str = "") -> dict[str, Any]:
    """S3's answer; its objects are an hour older than `AT`."""
    written = AT - timedelta(hours=1)
    return {
        "Contents": [{"Key": f"raw/{key}", "ETag": '"e"', "Size": 1, "LastModified": written} for key in keys],
        "ResponseMetadata": {"HTTPHeaders": {"date": f"{date:%a, %d %b %Y %H:%M:%S GMT}"} if date else {}},
        **({"IsTruncated": True, "NextContinuationToken": more} if more else {}),
    }


def asked(rule: LandingRule, *pages: dict[str, Any], url: str = URL) -> tuple[list[dict[str, str]], bool]:
    """The requests that are sent until these answers are enough, and whether the day has landed."""
    requests = raw_landing.look(url, rule, DAY)
    sent, answers = [next(requests)], iter(pages)
    try:
        while True:
            sent.append(requests.send(next(answers)))
    except StopIteration as end:
        assert next(answers, None) is None
        return sent, end.value


def quiet(minutes: int) -> LandingRule:
    return LandingRule(RawLayout(marker=None), timedelta(minutes=minutes))


def test_a_long_day_is_listed_to_its_end() -> None:
    sent, landed = asked(quiet(30), page(f"dt={DAY}/a", more="t"), page(f"dt={DAY}/b"))
    first = {"Bucket": "raw-bucket", "Prefix": f"raw/dt={DAY}"}
    assert sent == [first, {**first, "ContinuationToken": "t"}]
    assert landed is True


def test_a_marker_of_all_days_is_not_asked_for_while_the_day_has_no_object() -> None:
    rule = LandingRule(RawLayout(marker="/_SUCCESS"))
    assert asked(rule, page()) == ([{"Bucket": "raw-bucket", "Prefix": f"raw/dt={DAY}"}], False)
    sent, landed = asked(rule, page(f"dt={DAY}/a"), page("_SUCCESS"))
    assert [each["Prefix"] for each in sent] == [f"raw/dt={DAY}", "raw/_SUCCESS"]
    assert landed is True


def test_objects_of_other_days_in_the_listing_are_not_taken_for_the_day_s() -> None:
    rule = LandingRule(RawLayout("*/{partition}.csv", marker="/_SUCCESS"))
    sent, landed = asked(rule, page("eu/2020-03-08.csv", "us/2020-03-10.csv", more="t"), page("zones.csv"))
    assert [each["Prefix"] for each in sent] == ["raw/", "raw/"]
    assert landed is False
    assert asked(rule, page("eu/2020-03-08.csv", f"us/{DAY}.csv"), page("_SUCCESS"))[1] is True


def test_raw_data_may_lie_at_the_bucket_s_root() -> None:
    ((request,), landed) = asked(LandingRule(), page(), url="s3://raw-bucket")
    assert (request["Prefix"], landed) == (f"dt={DAY}/_SUCCESS", False)


@pytest.mark.parametrize(("minutes", "landed"), [(60, True), (61, False)])
def test_the_quiet_time_is_measured_by_the_date_of_the_first_answer(minutes: int, landed: bool) -> None:
    late = AT + timedelta(hours=1)
    assert asked(quiet(minutes), page(f"dt={DAY}/a", more="t"), page(f"dt={DAY}/b", date=late))[1] is landed


def test_without_a_date_in_the_answer_this_machine_s_clock_counts() -> None:
    assert asked(quiet(30), page(f"dt={DAY}/a", date=None))[1] is True
    assert raw_landing.time_of(page(date=None)) - datetime.now(UTC) < timedelta(minutes=1)
