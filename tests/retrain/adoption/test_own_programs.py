"""The programs that a repository's own projects bring."""

from __future__ import annotations

from adoption.repositories import code, snapshot, stage

from retrain.adoption.commands_of_stages import programs
from retrain.adoption.own_programs import own_programs

POETRY = """
[tool.poetry.scripts]
forecast = "demand:forecast"
[project.scripts]
train = "demand:train"
"""
CFG = """
[options.entry_points]
console_scripts =
    score = demand:score
"""


def test_the_console_scripts_of_all_projects_are_known_and_a_broken_file_has_none() -> None:
    found = snapshot({"pyproject.toml": POETRY, "lib/setup.cfg": CFG, "old/pyproject.toml": "[[["})
    assert own_programs(found) == {"forecast", "train", "score"}


def test_a_program_of_the_project_and_a_builtin_of_the_shell_are_not_looked_for_on_the_machine() -> None:
    found = code(stage("s", "set -e\nforecast x\na-program-of-theirs y"), texts={"pyproject.toml": POETRY})
    assert list(programs(found, frozenset())) == ["a-program-of-theirs"]
