import os
import sys
import threading
from pathlib import Path

import psutil
import pytest

from retrain.work import process

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"


def run(code: str, cwd: Path, timeout: float = 20) -> process.Finished:
    return process.run([sys.executable, "-c", code], cwd=cwd, env=dict(os.environ), timeout=timeout, quiet=True)


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    done = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(65)", tmp_path)
    assert (done.returncode, sorted(done.lines)) == (65, ["err", "out"])


def test_an_empty_value_takes_a_variable_away_from_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "retrain")
    monkeypatch.setenv("OWN", "")
    found = process.environment(AWS_PROFILE="", AWS_DEFAULT_REGION="eu-west-1")
    assert "AWS_PROFILE" not in found
    assert (found["AWS_DEFAULT_REGION"], found["OWN"]) == ("eu-west-1", "")


def test_an_argument_never_meets_a_shell(tmp_path: Path) -> None:
    process.run(
        ["echo", "x; touch owned", "$(touch owned)"], cwd=tmp_path, env=dict(os.environ), timeout=20, quiet=True
    )
    assert list(tmp_path.iterdir()) == []


def test_a_timeout_ends_grandchildren_too(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    done = run(code, tmp_path, timeout=3)
    assert done.timed_out
    assert not psutil.pid_exists(int(done.lines[0]))


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE_SECONDS", 1)
    done = run(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
        tmp_path,
        timeout=2,
    )
    assert done.timed_out
    assert done.returncode == -9


def test_a_grandchild_that_keeps_the_output_open_is_left_behind_with_no_thread_and_no_pipe(tmp_path: Path) -> None:
    files, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    code = (
        "import subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "print(child.pid, flush=True); print('last words', end='')"
    )
    done = run(code, tmp_path)
    grandchild = psutil.Process(int(done.lines[0]))
    try:
        assert grandchild.is_running()
        assert done.lines[1] == "last words"
        assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == (files, threads)
    finally:
        grandchild.kill()


def test_every_line_is_seen_as_it_was_written_and_the_end_is_kept(tmp_path: Path) -> None:
    """More than a pipe holds, letters that the end of a read may cut, progress bars, and a last line without an end."""
    seen: list[str] = []
    code = (
        "import sys; sys.stdout.reconfigure(encoding='utf-8', newline='')\n"
        "for n in range(50_000): print(n, 'größer', end='\\r\\n' if n % 2 else '\\r')\n"
        "print('end', end='')"
    )
    done = process.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=60, quiet=True, each_line=seen.append
    )
    assert seen == [*(f"{n} größer" for n in range(50_000)), "end"]
    assert done.lines == seen[-400:]


def test_output_can_be_had_without_what_stands_on_stderr(tmp_path: Path) -> None:
    code = "import sys; print('warned', file=sys.stderr); print('out')"
    done = process.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=20, quiet=True, stderr_too=False
    )
    assert done.lines == ["out"]


def test_a_child_gets_its_standard_input_whole_or_none_at_all(tmp_path: Path) -> None:
    code = "import sys; print(len(sys.stdin.read()))"
    for given in ("ü" * 100_000, ""):
        done = process.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=20, quiet=True, given=given
        )
        assert done.lines == [str(len(given))]


def test_a_child_that_a_signal_interrupted_at_its_start_can_be_ended(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PLUGINS)!r}); import psutil, subprocess; from retrain.work import process;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "process.end_children(); print(psutil.pid_exists(child.pid))"
    )
    assert run(code, tmp_path).lines == ["False"]
