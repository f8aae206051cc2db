"""The command line as a whole; what each command answers is tested against real servers in tests/contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from retrain.commands.command_line import main, parser
from retrain.errors import OriginError

ROOT = Path(__file__).resolve().parents[3]
MODULES = {"try": "try_day"}  # `try` is a word of Python itself
COMMANDS = [
    ["check", "https://example.org/shop.git", "--ref", "main", "--write", "shop"],
    ["try", "2020-03-05", "--ref", "main", "--keep"],
    ["release", "v1.2.0"],
    ["rollback"],
    ["pin"],
    ["history", "--stale"],
    ["restore", "2020-03-05", "there", "--run-key", "abc", "--no-environment"],
    ["verify", "--all"],
    ["replay", "2020-03-05", "--run-key", "abc"],
    ["explain", "2020-03-05", "2020-03-06", "--most", "3"],
    ["rebuild", "--partition", "2020-03-05", "--since", "2020-03-01", "--plan"],
    ["prune", "--keep-days", "30", "--really"],
    ["doctor", "--only", "slack"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_each_command_is_answered_by_the_module_of_its_name(words: list[str]) -> None:
    assert parser().parse_args(words).command.__module__ == f"retrain.commands.{MODULES.get(words[0], words[0])}"


def test_the_help_lists_these_commands_and_no_others() -> None:
    listed = re.search(r"\{([a-z,]+)\}", parser().format_help())
    assert listed
    assert listed.group(1).split(",") == [words[0] for words in COMMANDS]


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that fails: there is no file of its pipeline."""
    monkeypatch.setenv("RETRAIN_PIPELINES", str(tmp_path))
    return ["--pipeline", "nobodys", "history"]


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_an_error_does_not_show_the_login_of_an_address(
    json_too: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        error = OriginError("git clone on https://shop:hunter2@git.example.org/shop.git failed.")
        error.stage, error.printed = "fetch", ("https://shop:hunter2@git.example.org answered 403",)
        raise error

    monkeypatch.setattr("retrain.commands.history.ChosenPipeline", fails)
    assert main([*json_too, "history"]) == 1
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err
    assert "git.example.org/shop.git failed" in err


def test_an_error_is_one_sentence_on_standard_error(failing: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(failing) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("ConfigurationError: ")
    assert "nobodys.yaml" in err
    assert err.count("\n") == 1


def test_with_json_an_error_has_its_class_as_a_code_too(failing: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", *failing]) == 1
    out, err = capfd.readouterr()
    error = json.loads(out)["error"]
    assert err == f"{error['code']}: {error['message']}\n"
    assert error["code"] == "ConfigurationError"


def test_the_package_is_a_program(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins"), "RETRAIN_PIPELINES": str(tmp_path)}
    command = [sys.executable, "-m", "retrain", "--json", "--pipeline", "nobodys", "history"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "ConfigurationError"


def test_make_asks_for_the_day_of_a_trial_before_it_starts_anything() -> None:
    built = [word for name in (".venv/.installed", ".local/envs/servers/.installed") for word in ("-o", name)]
    variables = {
        name: value for name, value in os.environ.items() if name not in {"PARTITION", "MAKEFLAGS", "MAKELEVEL"}
    }
    done = subprocess.run(["make", *built, "try"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Which day? make try PIPELINE=" in done.stderr


def test_the_command_line_is_read_before_airflow_is_imported() -> None:
    code = "import sys, retrain.commands.command_line; print('airflow' in sys.modules)"
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
