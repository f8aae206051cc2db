from recorded import record

from retrain.archive.history import runs, stale_days
from retrain.run.manifest import Manifest, RawObject


def test_a_superseded_entry_stays_in_the_history_and_names_the_one_that_counts() -> None:
    first, second, other_day = record(), record(release="v1.1.0", at="07:00"), record("2020-03-06")
    counts = {"2020-03-05": second.run_key, "2020-03-06": other_day.run_key}
    shown = runs([second, other_day, first], counts, pruned={other_day.run_key})
    assert [(run.status, run.superseded_by, run.pruned) for run in shown] == [
        ("superseded", second.run_key, False),
        ("live", None, False),
        ("live", None, True),
    ]


def raw(day: str, etag: str) -> RawObject:
    return RawObject(f"dt={day}/part-0.parquet", etag, 1, None)


def test_a_day_is_stale_when_raw_bytes_of_its_window_changed_came_or_went() -> None:
    held = Manifest(
        "p", "2020-03-05", "s3://raw", (raw("2020-03-03", "x"), raw("2020-03-04", "x"), raw("2020-03-05", "x"))
    )
    now = [raw("2020-03-02", "x"), raw("2020-03-03", "y"), raw("2020-03-05", "x")]
    assert stale_days(held, {item.key: item for item in now}) == ["2020-03-02", "2020-03-03", "2020-03-04"]
