import json
from typing import Any

import pytest
from recorded import record

from retrain.errors import RecordError, RecordVersionError, SeveralEntriesError, UnknownEntryError
from retrain.run.run_record import Mirrored, RunRecord, Version1, choose, counting

URL = "s3://ledger-bucket/ledger/p/run.json"


def of_version_1(supersedes: str | None = None, **changes: Any) -> RunRecord:
    """A record as commit 899b122 wrote it, read back."""
    fields = {name: value for name, value in record(**changes).to_dict().items() if name != "threads"}
    ids = {"run_id": "r", "experiment_id": "1", "model_version": "3"}
    document = {"schema_version": 1, **fields, "mlflow": ids, "supersedes": supersedes}
    return RunRecord.from_json(json.dumps(document).encode(), URL)


def test_a_record_survives_the_ledger() -> None:
    assert RunRecord.from_json(record().to_json().encode(), URL) == record()


def test_a_record_of_the_version_before_is_read_with_what_it_said_of_mlflow_and_of_the_entry_before() -> None:
    found = of_version_1("a" * 64)
    assert found.version_1 == Version1(Mirrored("r", "1", "3"), "a" * 64)
    assert (found.threads, found.outputs) == (1, record().outputs)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        pytest.param({"schema_version": 3}, RecordVersionError, "schema_version 3.*reads up to 2", id="a newer schema"),
        pytest.param(
            {"schema_version": "2"}, RecordVersionError, "schema_version '2'", id="a schema that is no number"
        ),
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
SECOND = record(release="v1.1.0", at="07:00")
OTHER_DAY = record("2020-03-06")
COUNTS = {"2020-03-05": SECOND.run_key, "2020-03-06": OTHER_DAY.run_key}


def test_of_several_entries_of_a_day_the_one_that_the_newest_event_names_is_meant() -> None:
    known = [FIRST, SECOND, OTHER_DAY]
    assert choose(known, COUNTS, "2020-03-05") == SECOND
    assert choose(known, {**COUNTS, "2020-03-05": FIRST.run_key}, "2020-03-05") == FIRST
    assert counting(known, COUNTS) == [SECOND, OTHER_DAY]


def test_a_day_without_events_counts_as_the_version_before_counted_it() -> None:
    first, last = of_version_1(), of_version_1(record().run_key, release="v1.1.0", at="05:00")
    assert choose([first, last], {}, "2020-03-05") == last


def test_a_run_of_today_counts_beside_records_of_the_version_before_once_an_event_says_so() -> None:
    old = of_version_1()
    assert choose([old, SECOND], {"2020-03-05": SECOND.run_key}, "2020-03-05") == SECOND
    assert choose([old, SECOND], {"2020-03-05": old.run_key}, "2020-03-05") == old


def test_an_older_entry_is_had_by_the_beginning_of_its_key() -> None:
    assert choose([FIRST, SECOND], COUNTS, "2020-03-05", FIRST.run_key[:12]) == FIRST


def test_a_key_that_begins_several_entries_is_not_guessed() -> None:
    twins = [record(dag_run="one"), record(dag_run="two")]
    with pytest.raises(SeveralEntriesError):
        choose(twins, {}, "2020-03-05", FIRST.run_key[:4])


@pytest.mark.parametrize(("partition", "key"), [("2020-03-07", None), ("2020-03-05", "0000")])
def test_an_unknown_day_or_key_says_what_there_is(partition: str, key: str | None) -> None:
    with pytest.raises(UnknownEntryError, match="make history"):
        choose([FIRST, SECOND], COUNTS, partition, key)
