import pytest

from retrain.housekeeping.database_cleaning import reason, removed_rows


def test_rows_are_counted_for_the_tables_that_lost_some() -> None:
    before = {"dag_run": 8, "xcom": 16, "log": 3, "job": 0, "dropped": 5}
    assert removed_rows(before, {"dag_run": 4, "xcom": 4, "log": 3, "job": 0}) == {"dag_run": 4, "xcom": 12}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ["Traceback", "sqlalchemy.exc.IntegrityError: (x) refused", "(Background on this error at: y)"],
            "sqlalchemy.exc.IntegrityError: (x) refused",
            id="the exception before what follows it",
        ),
        pytest.param(["Killed by someone."], "Killed by someone", id="the last line without any exception"),
        pytest.param([], "it printed nothing", id="no output"),
    ],
)
def test_the_reason_of_a_failure_is_the_line_that_names_it(lines: list[str], said: str) -> None:
    assert reason(lines) == said
