"""The claims of the README, and of the pages that it links to, that can be tested."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DAG = (ROOT / "dags" / "retrain_pipelines.py").read_text()
LINKED = sorted({ROOT / path for path in re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", README)})
DOCUMENTS = {"README.md": README, **{str(path.relative_to(ROOT)): path.read_text() for path in LINKED}}
EVERYTHING = "\n".join(DOCUMENTS.values())
NAMED = re.compile(r"(?:`|^)make ([a-z][a-z0-9-]*)", re.MULTILINE)
FIRST_SCREEN = 20

each_document = pytest.mark.parametrize("name", DOCUMENTS)


def test_the_readme_fits_three_screens_and_the_first_has_the_commands_of_the_first_ten_minutes() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert {"demo", "test", "pin", "release", "rollback", "help"} <= set(NAMED.findall("\n".join(lines[:FIRST_SCREEN])))


@each_document
def test_every_make_target_that_a_document_names_exists(name: str) -> None:
    assert set(NAMED.findall(DOCUMENTS[name])) <= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))


def test_every_target_with_a_help_text_is_in_the_readme_or_a_page_that_it_links_to() -> None:
    documented = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, re.MULTILINE))
    assert documented <= set(NAMED.findall(EVERYTHING))


@each_document
def test_every_variable_that_a_make_command_is_given_is_read_by_the_makefile(name: str) -> None:
    given = re.findall(r"(?:`|^)make [a-z][a-z0-9-]*((?: [A-Z_]+=[^ `\n]+)+)", DOCUMENTS[name], re.MULTILINE)
    variables = {each for settings in given for each in re.findall(r" ([A-Z_]+)=", settings)}
    assert variables <= set(re.findall(r"\$[({]?(?:if \$\()?\$?\{?([A-Z_]+)", MAKEFILE))


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


def test_the_stages_of_the_readme_are_those_of_the_pipeline_in_their_order() -> None:
    import yaml

    table = README.partition("| Stage | Does |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(
        yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    )


def test_the_airflow_commands_of_the_documents_parse() -> None:
    from airflow.cli.cli_parser import get_parser

    lines = [line for line in EVERYTHING.splitlines() if "stack.py run airflow" in line]
    assert lines
    for line in lines:
        arguments = shlex.split(line.partition("stack.py run ")[2], comments=True)
        assert get_parser().parse_args(arguments[1:]).func


def test_every_parameter_that_an_experiment_of_the_documents_sets_is_one_of_the_pipeline_s() -> None:
    import yaml

    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    keys = re.findall(r"dvc exp run (?:-S|--set-param) (\w+)\.(\w+)=", EVERYTHING)
    assert keys
    for section, key in keys:
        assert key in params[section], f"{section}.{key}"
