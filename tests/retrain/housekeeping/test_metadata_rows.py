import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.errors import ConfigurationError
from retrain.housekeeping.database_errors import MetadataDatabaseError
from retrain.housekeeping.metadata_rows import archive_tables, database_url, old_rows

URL = "postgresql+psycopg2://airflow:hunter22@127.0.0.1:1/airflow"
VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def test_the_address_comes_from_airflows_own_variables(tmp_path: Path) -> None:
    secret = tmp_path / "airflow_database_url"
    secret.write_text(URL)
    assert database_url({VARIABLE: URL}) == URL
    assert database_url({f"{VARIABLE}_CMD": f"cat {secret}", "PATH": "/usr/bin:/bin"}) == URL


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({}, "Start the cleaner with the scheduler's variables", id="none is set"),
        pytest.param({f"{VARIABLE}_CMD": "/nowhere/program"}, "cannot be run", id="no such program"),
        pytest.param({f"{VARIABLE}_CMD": f"{sys.executable} -c exit(3)"}, "exit code 3", id="a program that fails"),
        pytest.param({f"{VARIABLE}_CMD": f"{sys.executable} -c pass"}, "printed no address", id="an empty secret"),
    ],
)
def test_a_missing_address_is_named_with_its_variable(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=VARIABLE) as raised:
        database_url(variables)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(URL, id="nothing listens"),
        pytest.param("sqlite:////nowhere/airflow.db", id="no such file"),
        pytest.param("nosuch://airflow:hunter22@localhost/airflow", id="an unknown kind"),
        pytest.param("airflow:hunter22", id="not an address"),
    ],
)
def test_a_database_that_does_not_answer_is_an_error_without_its_password(url: str) -> None:
    with pytest.raises(MetadataDatabaseError, match="Airflow's database does not answer") as raised:
        old_rows(url, datetime(2020, 3, 14, tzinfo=UTC))
    assert "hunter22" not in str(raised.value)


def test_an_empty_database_has_no_old_rows_and_no_archives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/airflow.db"
    assert old_rows(url, datetime(2020, 3, 14, tzinfo=UTC)) == {}
    assert archive_tables(url) == []
