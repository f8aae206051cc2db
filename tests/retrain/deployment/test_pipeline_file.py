import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from conftest import ADDRESSES, PIPELINES

from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import ConfigurationError

GOOD = yaml.safe_load((PIPELINES / "trip_duration.yaml").read_text())


def write(folder: Path, document: object, name: str = "other.yaml") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_the_pipeline_is_named_by_its_file(deployment: Deployment) -> None:
    assert deployment.pipeline == "trip_duration"
    assert deployment.raw.url == "s3://raw-bucket/raw/yellow"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"raw": {**GOOD["raw"], "window_days": 0}}, "raw.window_days", id="an empty window"),
        pytest.param({"raw": {**GOOD["raw"], "windo_days": 3}}, "raw.windo_days", id="a misspelt key"),
        pytest.param({"store": "/tmp/store"}, "store", id="a store that is not S3"),
        pytest.param({"slack": {}}, "slack.channel", id="a missing key"),
        pytest.param({"schema_version": 2}, "schema_version", id="a newer schema"),
        pytest.param(
            {"repository": {"url": "x", "environment": "../up"}},
            "repository.environment",
            id="a way out of the checkout",
        ),
        pytest.param({"owner": None}, "owner", id="nobody owns it"),
        pytest.param({"ledger": "s3://${NO_SUCH_VARIABLE}/ledger"}, "ledger", id="an address that is not set"),
        pytest.param({"calendar": {"country": "XX"}}, "calendar.country: .*'XX'", id="no country"),
        pytest.param(
            {"calendar": {"country": "US", "subdivision": "Bavaria"}},
            "calendar.subdivision: .*'Bavaria'",
            id="no part",
        ),
        pytest.param(
            {"calendar": None, "expected": {**GOOD["expected"], "not_on": ["holidays"]}},
            "expected.not_on .* needs a calendar",
            id="holidays without a calendar",
        ),
        pytest.param(
            {"expected": {**GOOD["expected"], "recorded": "06:00"}},
            "expected.recorded 06:00 is not after 06:00",
            id="owed before the run has started",
        ),
        pytest.param(
            {"expected": {**GOOD["expected"], "landed": 600}},
            "expected.landed: 600 .*quotes",
            id="10:00 without quotes",
        ),
        *(
            pytest.param(
                {"params": {"params.yaml": {"data.date": value}}},
                "data.date: .* is not a text, a finite number, true or false. Write a date in quotes",
                id=f"a param that is {value}",
            )
            for value in (date(2020, 3, 9), float("nan"), None, [1], {"year": 2020})
        ),
        pytest.param({"raw": None}, "expected.landed .*Add raw, or leave", id="data is due and there is none"),
        pytest.param(
            {"raw": None, "expected": None, "inputs": [{"path": "data"}]},
            "inputs .*Add raw, or leave",
            id="inputs of nothing",
        ),
        pytest.param(
            {"raw": None, "expected": None, "trigger": "event"}, "trigger: event needs raw.queue", id="no queue"
        ),
        pytest.param({"expected": {"recorded": "12:00"}}, "expected.landed is missing", id="no deadline of the data"),
        *(
            pytest.param({"schedule": {**GOOD["schedule"], "timezone": name}}, f"schedule.timezone: '{name}'", id=name)
            for name in ("Europe/Berln", "Europe", "../etc/passwd", "")
        ),
        *(
            pytest.param({"schedule": {**GOOD["schedule"], "cron": cron}}, "schedule.cron: ", id=cron)
            for cron in (
                "0 6,18 * * *",
                "*/5 6 * * *",
                "0 6-6 * * *",
                "@daily",
                "0 6 * *",
                "0 0 6 * * *",
                "60 6 * * *",
                "0 6 31 2 *",
                "0 6 * * 9",
                "0 R * * *",
                "0 6 * * R",
                "0 6 H(1-9) * *",
                "six every day",
            )
        ),
    ],
)
def test_a_broken_file_is_refused_with_file_and_key(tmp_path: Path, change: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(write(tmp_path, {**GOOD, **change}), ADDRESSES)
    assert "other.yaml" in str(refused.value)
    assert re.search(named, str(refused.value))


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"partition": "orders/*.csv"}, r"raw.partition: .*has no date\. Write {partition}"),
        ({"partition": "{year}/{month}/*"}, r"raw.partition: .*has no date"),
        (
            {"partition": "dt={date}"},
            "raw.partition: .*has {date}, which is none of {partition}, {year}, {month}, {day}",
        ),
        ({"partition": "dt={{partition}}"}, "raw.partition: .*has a brace that is no part's"),
        ({"partition": "dt={partition"}, "raw.partition: .*has a brace"),
        ({"partition": "../dt={partition}"}, "raw.partition: "),
        ({"partition": "/dt={partition}"}, "raw.partition: "),
        ({"partition": "dt={partition}/"}, "raw.partition: .*has an empty part"),
        ({"partition": "{year}//{month}/{day}"}, "raw.partition: .*has an empty part"),
        ({"marker": "/done/{partition}/"}, "raw.marker: .*has an empty part"),
        ({"marker": "{name}.ok"}, "raw.marker: .*has {name}, which is none of"),
        ({"marker": "/{year}-{month}}.done"}, "raw.marker: .*has a brace"),
        ({"marker": None}, "raw: .*needs quiet_minutes"),
        ({"quiet_minutes": 5}, "raw: .*is for a partition without a marker"),
    ],
)
def test_a_layout_of_which_no_day_could_land_is_refused(tmp_path: Path, raw: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(write(tmp_path, {**GOOD, "raw": {**GOOD["raw"], **raw}}), ADDRESSES)
    assert re.search(named, str(refused.value))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("data.csv", "gives all objects one name"),
        ("{date}.csv", "has {date}, which is none of {partition}, .*{suffix}"),
        ("{{partition}}.csv", "has a brace"),
        ("../{name}", "must stay inside the checkout"),
    ],
)
def test_names_that_can_place_no_object_are_refused(tmp_path: Path, names: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(write(tmp_path, {**GOOD, "inputs": [{"path": "data", "names": names}]}), ADDRESSES)
    assert re.search(rf"inputs\S*names: .*{said}", str(refused.value))


def test_a_pipeline_whose_stages_fetch_their_data_needs_no_raw_and_may_have_a_deadline_of_its_record(
    tmp_path: Path,
) -> None:
    document = {**{key: value for key, value in GOOD.items() if key != "raw"}, "expected": {"recorded": "12:00"}}
    found = load(write(tmp_path, {**document, "fetch": ["download"]}), ADDRESSES)
    assert (found.raw, found.expected.landed) == (None, None)
    assert found.run_settings(refetch=2).to_document() == {"fetch": ["download"], "refetch": 2}


@pytest.mark.parametrize("cron", ["0 6 * * 1-5", "30 02 * * mon-fri", "0 6 1,15 * *", "0 6 L * *", "0 6 ? 3-11 *"])
def test_a_schedule_of_one_run_on_some_days_is_taken(tmp_path: Path, cron: str) -> None:
    changed = {**GOOD, "schedule": {**GOOD["schedule"], "cron": cron}}
    assert load(write(tmp_path, changed), ADDRESSES).schedule.cron == cron


@pytest.mark.parametrize("text", ["a: [", "- a list", "just words", "", "start_date: 2020-13-45", "1: a number"])
def test_what_is_not_keys_and_values_is_refused_by_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"other\.yaml"):
        load(write(tmp_path, text), ADDRESSES)


def test_a_file_name_that_can_be_no_dag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Rename"):
        load(write(tmp_path, GOOD, "My Pipeline.yaml"), ADDRESSES)


def test_a_file_that_would_be_named_as_the_second_dag_of_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the messages of taxi\. Rename"):
        load(write(tmp_path, GOOD, "taxi_landings.yaml"), ADDRESSES)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@git.example.org/x.git",
        "ssh://git:s3cret@host/x",
        "https://ghp_s3cret0123456789abcd@host/x.git",
    ],
)
def test_a_secret_in_the_address_of_the_repository_is_refused_without_showing_it(tmp_path: Path, url: str) -> None:
    named = r"other\.yaml: repository\.url: .*has a password or a token in it.*repository\.connection"
    with pytest.raises(ConfigurationError, match=named) as refused:
        load(write(tmp_path, {**GOOD, "repository": {"url": url}}), ADDRESSES)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["git@host:team/x.git", "ssh://git@host/x.git", "https://user@host/x.git", "/srv/x.git"]
)
def test_a_user_alone_in_the_address_of_the_repository_is_fine(tmp_path: Path, url: str) -> None:
    assert load(write(tmp_path, {**GOOD, "repository": {"url": url}}), ADDRESSES).repository.url == url


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "ext::sh -c x"])
def test_an_address_that_would_start_a_program_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"repository\.url: not an address that Git may be given"):
        load(write(tmp_path, {**GOOD, "repository": {"url": url}}), ADDRESSES)
