"""Where the Pythons of a machine are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from retrain.work.environments import frozen, pythons
from retrain.work.environments.errors import PythonMissingError


def program(path: Path, version: str) -> Path:
    """A program that answers as that Python does."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_our_own_version_is_our_own_program() -> None:
    found = pythons.find(frozen.RUNNING)
    assert found is not None
    assert found.path == Path(sys.executable)


@pytest.mark.parametrize("pattern", ["{}/*", "{0}/none:{0}/3.98.*", "{}/3.98.10/bin", "{}/3.98.10/bin/python3.98"])
def test_a_version_is_found_in_the_named_places_the_newest_patch_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    for full in ("3.98.9", "3.98.10", "3.99.1"):
        program(tmp_path / full / "bin" / f"python{full.rpartition('.')[0]}", full)
    monkeypatch.setenv("RETRAIN_PYTHONS", pattern.format(tmp_path))
    newest = tmp_path / "3.98.10" / "bin" / "python3.98"
    assert pythons.find("3.98") == pythons.Python(newest, "3.98", "3.98.10")


def test_markers_are_those_of_the_found_python() -> None:
    markers = pythons.Python(Path("/python"), "3.98", "3.98.10").markers
    assert (markers["python_version"], markers["python_full_version"]) == ("3.98", "3.98.10")
    assert markers["sys_platform"] == sys.platform


def test_a_version_that_is_not_there_is_named_with_the_places_that_were_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setenv("RETRAIN_UV", str(uv))
    monkeypatch.setenv("RETRAIN_PYTHONS", "/opt/python/*")
    with pytest.raises(
        PythonMissingError,
        match=r"Python 3\.99 .*searched RETRAIN_PYTHONS \(/opt/python/\*\), the PATH .*uv python install 3\.99",
    ):
        pythons.require("3.99")
