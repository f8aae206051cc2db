"""`make release` hands its values to the command as they are: no shell reads them, and none becomes an option."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = (".venv/.installed", ".local/envs/servers/.installed")


def arguments(folder: Path, *given: str, **environment: str) -> list[str]:
    """What the command would get from `make release` with these variables."""
    program = folder / "shows"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    old = [option for made in MADE for option in ("--assume-old", made)]
    done = subprocess.run(
        ["make", "--silent", *old, f"RETRAIN={program}", "release", *given],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_a_tag_comes_after_all_options(tmp_path: Path) -> None:
    assert arguments(tmp_path, "TAG=taxi@v1.2.0") == ["release", "--", "taxi@v1.2.0"]
    assert arguments(tmp_path, "TAG=--help") == ["release", "--", "--help"]


def test_a_commit_comes_with_its_label(tmp_path: Path) -> None:
    assert arguments(tmp_path, "COMMIT=1a2b3c4d", "AS=-x") == ["release", "--commit=1a2b3c4d", "--as=-x"]


@pytest.mark.parametrize("value", ["v1; touch x", "`touch x`", 'v1" x', "v1 x", "v1' x"])
def test_a_shell_reads_no_value(tmp_path: Path, value: str) -> None:
    assert arguments(tmp_path, f"TAG={value}") == ["release", "--", value]


def test_the_assembler_of_an_environment_is_no_label(tmp_path: Path) -> None:
    assert arguments(tmp_path, "TAG=v1.0.0", AS="x86_64-linux-gnu-as", COMMIT="of the build") == [
        "release",
        "--",
        "v1.0.0",
    ]
