"""A lock between processes: one holder at a time, a bounded wait, and a holder that can be named."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from retrain.errors import Cause, FileLockTimeoutError
from retrain.work import file_lock
from retrain.work.file_lock import locked, remove_unlocked, shared, try_locked

PLUGINS = Path(file_lock.__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from retrain.work.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(path):
    """Another process holds the lock; it releases it when its input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


SAY_WHEN_REFUSED = """
from retrain.work import file_lock
acquired = file_lock._acquired
def and_say(file, mode):
    got = acquired(file, mode)
    if not got:
        print("refused", flush=True)
    return got
file_lock._acquired = and_say
"""


@contextmanager
def waiting_elsewhere(path):
    """Another process has opened the lock file and found it locked. It goes on waiting."""
    waiter = subprocess.Popen(
        [sys.executable, "-c", SAY_WHEN_REFUSED + HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert waiter.stdout.readline() == "refused\n"
        yield waiter
    finally:
        waiter.kill()
        waiter.communicate()


def test_a_wait_that_ends_in_vain_names_the_file_the_holder_and_the_next_step(tmp_path):
    path = tmp_path / "mlflow.lock"
    with (
        held_elsewhere(path) as holder,
        pytest.raises(FileLockTimeoutError) as caught,
        locked(path, what="MLflow's registry", timeout=0.05),
    ):
        pytest.fail("two processes hold one lock")
    said = str(caught.value)
    assert caught.value.cause is Cause.INFRA
    assert said.startswith(
        f"MLflow's registry ({path}) is still locked by process {holder.pid} on {socket.gethostname()}"
    )
    assert "See whether that process hangs" in said


def test_a_lock_is_acquired_as_soon_as_its_holder_releases_it(tmp_path):
    path = tmp_path / "a.lock"
    with held_elsewhere(path) as holder:
        holder.stdin.write("go on\n")
        holder.stdin.flush()
        with locked(path, timeout=60):
            assert path.read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert path.read_text() == ""


def test_a_holder_that_was_killed_holds_up_nobody(tmp_path):
    path = tmp_path / "a.lock"
    with held_elsewhere(path) as holder:
        holder.kill()
        with locked(path, timeout=60):
            assert f"process {os.getpid()} " in path.read_text()


def test_a_long_wait_is_logged_with_the_holder(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(file_lock, "_LOG_EVERY", 0.02)
    path = tmp_path / "environment.lock"
    with (
        caplog.at_level(logging.INFO),
        held_elsewhere(path) as holder,
        pytest.raises(FileLockTimeoutError),
        locked(path, what="the environment", timeout=0.3),
    ):
        pytest.fail("two processes hold one lock")
    assert f"waiting for the environment ({path}), locked by process {holder.pid} on" in caplog.text


def test_an_error_under_the_lock_releases_it(tmp_path):
    def fail():
        with locked(tmp_path / "a.lock"):
            raise ValueError("of the caller")

    with pytest.raises(ValueError, match="of the caller"):
        fail()
    with try_locked(tmp_path / "a.lock") as acquired:
        assert acquired


def test_a_try_does_not_wait_for_a_lock_that_is_held(tmp_path):
    path = tmp_path / "watch.lock"
    with held_elsewhere(path), try_locked(path) as acquired:
        assert not acquired
    with try_locked(path) as acquired:
        assert acquired


def test_a_waiter_whose_lock_file_was_removed_does_not_hold_the_lock_beside_the_next_holder(tmp_path):
    """The first holder removes the file. Then the second holder's file and the waiter's would be two locks of one name."""
    path = tmp_path / "a.lock"
    with ExitStack() as first:
        first.enter_context(locked(path))
        with waiting_elsewhere(path) as waiter:
            path.unlink()
            with locked(path):
                first.close()
                for _ in range(3):
                    assert waiter.stdout.readline() == "refused\n"
            assert "held\n" in iter(waiter.stdout.readline, "")
            with try_locked(path) as acquired:
                assert not acquired


def test_a_lock_file_is_removed_only_while_nobody_holds_it(tmp_path):
    path = tmp_path / "a.lock"
    with held_elsewhere(path):
        assert not remove_unlocked(path)
    assert path.exists()
    assert remove_unlocked(path)
    assert not path.exists()


def test_those_that_share_a_lock_do_not_wait_for_each_other_but_exclude_all_others(tmp_path):
    path = tmp_path / "cache.lock"
    with shared(path), shared(path, timeout=0):
        with try_locked(path) as acquired:
            assert not acquired
        assert not remove_unlocked(path)
    with held_elsewhere(path), pytest.raises(FileLockTimeoutError), shared(path, timeout=0.05):
        pytest.fail("a shared lock beside an exclusive one")
