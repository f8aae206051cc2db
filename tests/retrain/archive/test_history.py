from recorded import record

from retrain.archive.history import PresentRaw, runs, stale_days
from retrain.run.manifest import RawObject


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
    assert stale_days(held, now) == ["2020-03-02", "2020-03-03", "2020-03-04"]


def test_only_days_with_a_marker_have_landed() -> None:
    keys = ("dt=2020-03-03/a", "dt=2020-03-03/_SUCCESS", "dt=2020-03-04/a", "dt=2020-03-05/a", "dt=2020-03-05/_SUCCESS")
    present = PresentRaw([RawObject(key, key[-1], 1, None) for key in keys], "_SUCCESS")
    assert present.of_days(["2020-03-03", "2020-03-04"]) == {"dt=2020-03-03/a": "a"}
    assert present.of_days(["2020-03-01"]) == {}
