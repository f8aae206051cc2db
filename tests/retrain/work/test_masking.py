"""Secret values in what a process prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from retrain.work import process
from retrain.work.masking import forms, masked, masked_value


@pytest.mark.parametrize(
    ("secret", "printed", "shown"),
    [
        pytest.param("s3cret-pass", "login with s3cret-pass!", "login with ***!", id="as it is"),
        pytest.param("first line\nsecond line", "  second line", "  ***", id="one line of several"),
        pytest.param("p@ss/w:rd", "postgres://u:p%40ss%2Fw%3Ard@db", "postgres://u:***@db", id="in an address"),
        pytest.param("p@ss/w:rd", "/p%40ss/w%3Ard/x", "/***/x", id="in a path"),
        pytest.param("a b/c+d", "?key=a+b%2Fc%2Bd&x", "?key=***&x", id="in a query"),
        pytest.param('say "hello"', '{"key": "say \\"hello\\""}', '{"key": "***"}', id="in JSON"),
        pytest.param("1234", "port 1234", "port 1234", id="too short to be looked for"),
    ],
)
def test_a_secret_is_not_shown_in_any_form_that_programs_print(secret: str, printed: str, shown: str) -> None:
    assert masked(printed, forms([secret])) == shown


def test_a_secret_that_is_part_of_another_leaves_nothing_of_the_longer_one() -> None:
    assert masked("password-and-more", forms(["password", "password-and-more"])) == "***"


def test_texts_in_a_document_are_masked_and_its_keys_and_numbers_stay() -> None:
    document = {"token": ["abcdef", 5], "abcdef": {"deep": "x abcdef"}}
    assert masked_value(document, forms(["abcdef"])) == {"token": ["***", 5], "abcdef": {"deep": "x ***"}}


def test_neither_the_result_nor_a_reader_nor_the_log_of_a_process_sees_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import os, sys; print('got', os.environ['TOKEN']); print('again', os.environ['TOKEN'], file=sys.stderr)"
    seen: list[str] = []
    with caplog.at_level("INFO"):
        done = process.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "TOKEN": "hush-hush"}, timeout=60,
            hidden=forms(["hush-hush"]), each_line=seen.append,
        )  # fmt: skip
    assert (done.returncode, sorted(done.lines)) == (0, ["again ***", "got ***"])
    assert sorted(seen) == sorted(done.lines)
    assert "hush-hush" not in caplog.text
    assert "again ***" in caplog.text
