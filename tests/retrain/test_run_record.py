import json
from typing import Any

import pytest

from retrain.errors import RecordError, RecordVersionError, SeveralEntriesError, UnknownEntryError
from retrain.history import lines, stale_days
from retrain.manifest import Manifest, RawObject
from retrain.run_record import RunRecord, choose, live
from retrain.run_spec import RunSpec

URL = "s3://ledger-bucket/ledger/p/run.json"


def record(partition: str = "2020-03-05", release: str = "v1.0.0", *, at: str = "06:00", **changes: Any) -> RunRecord:
    spec = RunSpec("p", partition, release, "a" * 40, "d" * 64)
    fields: dict[str, Any] = {
        **spec.to_dict(),
        "recorded_at": f"2020-03-06T{at}:00+00:00",
        "dag_run": "scheduled__1",
        "mode": "daily",
        "environment": "e" * 64,
        "raw_versioned": True,
        "outputs": {"model": "1" * 32 + ".dir"},
        "metrics": {"model.mae": 4.1},
        "mlflow": {"run_id": "r", "experiment_id": "1", "model_version": "3"},
        "objects": 2,
        "size": 16,
        "supersedes": None,
    }
    return RunRecord(**{**fields, **changes})


def test_a_record_survives_the_ledger() -> None:
    assert RunRecord.from_json(record().to_json().encode(), URL) == record()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        pytest.param({"schema_version": 2}, RecordVersionError, "schema_version 2", id="a newer schema"),
        pytest.param({"commit": "HEAD"}, RecordError, "commit", id="a branch for a commit"),
        pytest.param({"metrics": {"mae": "good"}}, RecordError, "metrics", id="a metric that is no number"),
        pytest.param({"partition": "2020-03-06"}, RecordError, "was changed", id="a field changed after the fact"),
        pytest.param({"extra": 1}, RecordError, "extra", id="an unknown field"),
    ],
)
def test_a_record_that_breaks_its_schema_is_refused_by_address_and_field(
    change: dict[str, Any], kind: type[Exception], said: str
) -> None:
    text = json.dumps({**json.loads(record().to_json()), **change}).encode()
    with pytest.raises(kind, match=said) as refused:
        RunRecord.from_json(text, URL)
    assert URL in str(refused.value)


def test_what_the_writer_gets_wrong_is_not_written() -> None:
    with pytest.raises(RecordError, match="objects"):
        record(objects=-1).to_json()


FIRST = record()
SECOND = record(release="v1.1.0", at="07:00", supersedes=FIRST.run_key)
OTHER_DAY = record("2020-03-06")


def test_a_superseded_entry_stays_in_the_history_and_names_what_took_its_place() -> None:
    shown = lines([SECOND, OTHER_DAY, FIRST])
    assert [(line.status, line.superseded_by) for line in shown] == [
        ("superseded", SECOND.run_key),
        ("live", None),
        ("live", None),
    ]


def test_of_several_entries_of_a_day_the_newest_that_is_not_superseded_is_meant() -> None:
    assert choose([FIRST, SECOND, OTHER_DAY], "2020-03-05") == SECOND
    assert live([FIRST, SECOND, OTHER_DAY]) == [SECOND, OTHER_DAY]


def test_an_older_entry_is_had_by_the_beginning_of_its_key() -> None:
    assert choose([FIRST, SECOND], "2020-03-05", FIRST.run_key[:12]) == FIRST


def test_a_key_that_begins_several_entries_is_not_guessed() -> None:
    twins = [record(dag_run="one"), record(dag_run="two")]
    with pytest.raises(SeveralEntriesError):
        choose(twins, "2020-03-05", FIRST.run_key[:4])


@pytest.mark.parametrize(("partition", "key"), [("2020-03-07", None), ("2020-03-05", "0000")])
def test_an_unknown_day_or_key_says_what_there_is(partition: str, key: str | None) -> None:
    with pytest.raises(UnknownEntryError, match="make history"):
        choose([FIRST, SECOND], partition, key)


def raw(day: str, etag: str) -> RawObject:
    return RawObject(f"dt={day}/part-0.parquet", etag, 1, None)


def test_a_day_is_stale_when_raw_bytes_of_its_window_changed_came_or_went() -> None:
    held = Manifest(
        "p", "2020-03-05", "s3://raw", (raw("2020-03-03", "x"), raw("2020-03-04", "x"), raw("2020-03-05", "x"))
    )
    now = [raw("2020-03-02", "x"), raw("2020-03-03", "y"), raw("2020-03-05", "x")]
    assert stale_days(held, {item.key: item for item in now}) == ["2020-03-02", "2020-03-03", "2020-03-04"]
