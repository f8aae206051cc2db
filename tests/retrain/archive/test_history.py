from datetime import UTC, datetime

from recorded import record

from retrain.archive.history import PresentRaw, ReadRaw, runs, stale_days
from retrain.run.landed import LandingRule
from retrain.run.manifest import ListedRaw, RawObject
from retrain.run.raw_layout import RawLayout


def test_a_superseded_entry_stays_in_the_history_and_names_the_one_that_counts() -> None:
    first, second, other_day = record(), record(release="v1.1.0", at="07:00"), record("2020-03-06")
    counts = {"2020-03-05": second.run_key, "2020-03-06": other_day.run_key}
    shown = runs([second, other_day, first], counts, pruned={other_day.run_key})
    assert [(run.status, run.superseded_by, run.pruned) for run in shown] == [
        ("superseded", second.run_key, False),
        ("live", None, False),
        ("live", None, True),
    ]


def test_a_day_is_stale_when_raw_bytes_of_its_window_changed_came_or_went() -> None:
    held = {f"dt={day}/part-0.parquet": "x" for day in ("2020-03-03", "2020-03-04", "2020-03-05")}
    now = {
        f"dt={day}/part-0.parquet": etag
        for day, etag in (("2020-03-02", "x"), ("2020-03-03", "y"), ("2020-03-05", "x"))
    }
    assert stale_days(ReadRaw("dt={partition}", held), now, RawLayout()) == ["2020-03-02", "2020-03-03", "2020-03-04"]


def test_a_changed_object_makes_the_day_stale_that_its_layout_names() -> None:
    held = {"2020/03/04/a": "x", "2020/03/05/a": "x"}
    now = {"2020/03/04/a": "y", "2020/03/05/a": "x"}
    assert stale_days(ReadRaw("{year}/{month}/{day}", held), now, RawLayout("{year}/{month}/{day}")) == ["2020-03-04"]
    # The producer writes elsewhere since: the days that the run read are gone there, and the same days came here.
    moved = stale_days(ReadRaw("dt={partition}", {"dt=2020-03-02/a": "x"}), now, RawLayout("{year}/{month}/{day}"))
    assert moved == ["2020-03-02", "2020-03-04", "2020-03-05"]


def test_a_hidden_object_that_an_older_version_took_for_data_makes_no_day_stale() -> None:
    held = {"dt=2020-03-05/a": "x", "dt=2020-03-05/hour=00/_SUCCESS": "y"}
    assert stale_days(ReadRaw("dt={partition}", held), {"dt=2020-03-05/a": "x"}, RawLayout()) == []


def test_only_days_with_a_marker_have_landed() -> None:
    keys = ("dt=2020-03-03/a", "dt=2020-03-03/_SUCCESS", "dt=2020-03-04/a", "dt=2020-03-05/a", "dt=2020-03-05/_SUCCESS")
    at = datetime(2020, 3, 6, tzinfo=UTC)
    listing = [ListedRaw(RawObject(key, key[-1], 1, None), at) for key in keys]
    present = PresentRaw(LandingRule(), listing, ["2020-03-03", "2020-03-04", "2020-03-05"], at)
    assert present.of_days(["2020-03-03", "2020-03-04"]) == {"dt=2020-03-03/a": "a"}
    assert present.of_days(["2020-03-01"]) == {}
