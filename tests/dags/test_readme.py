"""The README's claims that can be tested."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DAG = (ROOT / "dags" / "retrain_pipelines.py").read_text()


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", README, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))


def test_every_target_with_a_help_text_is_in_the_readme() -> None:
    documented = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, re.MULTILINE))
    assert documented <= set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", README, re.MULTILINE))


def test_every_file_and_folder_that_the_readme_names_exists() -> None:
    paths = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(
        r"`((?:dags|plugins|pipeline|infra|tests)/[\w./-]*)`", README
    )
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_table_of_what_may_be_cleared_is_the_dags_own() -> None:
    rows = [line for line in DAG.splitlines() if line.startswith("| `")]
    assert len(rows) == 8
    for row in rows:
        assert row in README.splitlines()


def test_the_airflow_commands_of_the_readme_parse() -> None:
    import shlex

    from airflow.cli.cli_parser import get_parser

    commands = [line.partition("stack.py run ")[2] for line in README.splitlines() if "stack.py run airflow" in line]
    assert commands
    for command in commands:
        arguments = shlex.split(command, comments=True)
        assert get_parser().parse_args(arguments[1:]).func
