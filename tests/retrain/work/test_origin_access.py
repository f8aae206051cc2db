"""The files with an origin's secrets do not stay, not even those of a process that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from retrain.deployment.git_address import parsed
from retrain.work.origin_access import by_token

ADDRESS = parsed("https://git.example/team/repository.git")
KILLED = """
import os, signal, sys
from retrain.deployment.git_address import parsed
from retrain.work.origin_access import by_token
with by_token(parsed("https://git.example/team/repository.git"), "deploy", "a-token"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of this process and its children."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_token_of_a_killed_process_is_removed_by_the_next_one_and_a_used_one_stays(scratch: Path) -> None:
    assert ADDRESS is not None
    done = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # noqa: PLW1510 - it is killed
    assert done.returncode == -signal.SIGKILL
    (left,) = scratch.iterdir()
    assert "a-token" in (left / "credentials").read_text()
    with by_token(ADDRESS, "deploy", "another"):
        (used,) = set(scratch.iterdir()) - {left}
        for each in (left, used):
            os.utime(each, (0, 0))
        with by_token(ADDRESS, "deploy", "a-third"):
            assert (left.exists(), (used / "credentials").is_file()) == (False, True)
    assert list(scratch.iterdir()) == []
