"""A requirements file as pip reads it: encodings, continued lines, options, variables."""

from __future__ import annotations

import codecs

import pytest

from retrain.work.environments import requirements_file
from retrain.work.environments.requirements_file import Kind


def read(text: str) -> list[tuple[int, str, str]]:
    return [(line.number, line.name, line.text) for line in requirements_file.lines(text, {})]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("# été\nsix\n".encode(), id="UTF-8"),
        pytest.param(codecs.BOM_UTF8 + "# été\nsix\n".encode(), id="UTF-8 with a byte order mark"),
        pytest.param(
            codecs.BOM_UTF16_LE + "# été\r\nsix\r\n".encode("utf-16-le"), id="UTF-16, as PowerShell writes it"
        ),
        pytest.param(codecs.BOM_UTF16_BE + "# été\r\nsix\r\n".encode("utf-16-be"), id="UTF-16, big-endian"),
        pytest.param("# -*- coding: latin-1 -*-\n# été\nsix\n".encode("latin-1"), id="Latin-1 with a coding line"),
        pytest.param("# été\nsix\n".encode("latin-1"), id="Latin-1 without a word"),
        pytest.param("# coding: no-such-thing\n# été\nsix\n".encode(), id="a coding that does not exist"),
    ],
)
def test_a_file_is_read_in_any_encoding(content: bytes) -> None:
    text = requirements_file.decoded(content)
    assert "# été" in text
    assert [line.text for line in requirements_file.lines(text, {})] == ["six"]


def test_continued_lines_are_one_line_with_the_number_of_their_first() -> None:
    assert read("a\nb \\\n  >=1\nc  # why\n# d\n\ne") == [(1, "", "a"), (2, "", "b   >=1"), (4, "", "c"), (7, "", "e")]


def test_a_line_may_have_several_options() -> None:
    line = "-i https://a.example/simple --extra-index-url=https://b.example/simple --no-index -f wheels"
    assert read(line) == [
        (1, "--index-url", "https://a.example/simple"),
        (1, "--extra-index-url", "https://b.example/simple"),
        (1, "--no-index", ""),
        (1, "--find-links", "wheels"),
    ]


@pytest.mark.parametrize("line", ["-r base.txt", "-rbase.txt", "--requirement=base.txt", "--requirement base.txt"])
def test_an_include_is_read_in_each_of_its_spellings(line: str) -> None:
    assert read(line) == [(1, "--requirement", "base.txt")]


@pytest.mark.parametrize("line", ["-e .[x]", "-e.[x]", "--editable=.[x]", "--editable .[x]"])
def test_an_editable_is_read_in_each_of_its_spellings(line: str) -> None:
    assert read(line) == [(1, "--editable", ".[x]")]


def test_the_marker_of_an_editable_keeps_its_quotes() -> None:
    assert read("-e ./lib ; python_version > '3'") == [(1, "--editable", "./lib ; python_version > '3'")]


def test_hashes_and_build_options_are_taken_off_a_requirement() -> None:
    (line,) = requirements_file.lines("six==1 \\\n  --hash=sha256:aa --hash sha256:bb --config-settings='x=1' \\\n", {})
    assert (line.kind, line.text, line.hashes) == (Kind.REQUIREMENT, "six==1", ("sha256:aa", "sha256:bb"))


def test_a_variable_is_filled_in_except_in_an_address() -> None:
    text = "six>=${LEAST}\nx @ https://u:${LEAST}@a.example/x.whl\ny>=${UNKNOWN}"
    filled = [line.text for line in requirements_file.lines(text, {"LEAST": "2.0"})]
    assert filled == ["six>=2.0", "x @ https://u:${LEAST}@a.example/x.whl", "y>=${UNKNOWN}"]
    assert requirements_file.variables(text) == {"LEAST", "UNKNOWN"}
