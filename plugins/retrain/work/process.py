"""Runs child processes, from an argument list and never through a shell. No other module starts one."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from retrain.work import child_output
from retrain.work.masking import masked

log = logging.getLogger(__name__)

_TAIL_LINES = 400
_GRACE_SECONDS = 10
_SAMPLE_SECONDS = 0.25
_PYTHONS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Finished:
    """How a process ended.

    `returncode` is negative for a signal. `output` has the last 400 lines of stdout and stderr together.
    """

    argv: tuple[str, ...]
    returncode: int
    output: str
    seconds: float
    timed_out: bool

    @property
    def lines(self) -> list[str]:
        """The lines of the output that are not blank."""
        return [line for line in self.output.splitlines() if line.strip()]


def environment(**changes: str) -> dict[str, str]:
    """The variables for a child: this process's without Airflow's and MLflow's, and without those that select our own Python.

    `changes` are added. One with an empty value removes the variable.
    """
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in _PYTHONS and not k.startswith(("AIRFLOW", "_AIRFLOW", "MLFLOW_"))
    }
    return {k: v for k, v in {**kept, **changes}.items() if v or k not in changes}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    quiet: bool = False,
    stderr_too: bool = True,
    given: str = "",
    hidden: Sequence[str] = (),
    each_line: Callable[[str], None] | None = None,
    each_sample: Callable[[int], None] | None = None,
) -> Finished:
    """Run a process until it ends, at most `timeout` seconds. A non-zero exit does not raise.

    The child stays in the task's process group, so that it also gets the signals by which Airflow ends the task. On a timeout,
    and when this process is interrupted, the whole tree gets SIGTERM, then SIGKILL. A process that outlives the child and keeps
    its output open is not waited for.

    Args:
        env: all variables of the child; see `environment`.
        quiet: do not copy the output to the log.
        stderr_too: take stderr as part of the output; otherwise it goes to this process's stderr.
        given: the text on the child's standard input.
        hidden: texts that are replaced in the output before anything else sees it: see `masking.forms`.
        each_line: called with every line of the output, of which `Finished` keeps only the end.
        each_sample: called with the child's process id four times a second while it runs, in a thread of its own.

    Raises:
        OSError: the program cannot be started.
    """
    command = tuple(str(part) for part in argv)
    started = time.monotonic()
    lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def take(printed: str) -> None:
        line = masked(printed, hidden)
        lines.append(line)
        if each_line is not None:
            each_line(line)
        if not quiet:
            log.info("%s", line.rstrip())

    with tempfile.TemporaryFile() as standard_input:  # not a pipe, which a child that does not read it would fill
        standard_input.write(given.encode())
        standard_input.seek(0)
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=standard_input if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stderr_too else None,
        )
    timed_out = False
    with child_output.each_line(child.stdout, take), _sampled(child.pid, each_sample):
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if child.poll() is None:
                _end_tree(child)
    return Finished(command, child.returncode, "\n".join(lines), time.monotonic() - started, timed_out)


@contextmanager
def _sampled(pid: int, each_sample: Callable[[int], None] | None) -> Iterator[None]:
    """Call `each_sample` every quarter of a second during the block."""
    if each_sample is None:
        yield
        return
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            each_sample(pid)

    sampler = threading.Thread(target=sample, name="samples of a child process", daemon=True)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()


def end_children() -> None:
    """End all descendants of this process: SIGTERM, then SIGKILL to those that are left after the grace period.

    For a program that ends on a signal: if the signal came while `run` started a child, `run` does not know the child yet.
    """
    descendants = psutil.Process().children(recursive=True)
    for send in ("terminate", "kill"):
        for descendant in descendants:
            _signal(descendant, send)
        _, descendants = psutil.wait_procs(descendants, timeout=_GRACE_SECONDS)


def _end_tree(child: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a child and all its descendants, then SIGKILL to those that are left after the grace period."""
    try:
        descendants = psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        descendants = []
    for send in ("terminate", "kill"):
        _signal(child, send)
        for descendant in descendants:
            _signal(descendant, send)
        # Only subprocess waits for the child: psutil would reap it, and its return code would read 0.
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("process %s is still there %d s after %s", child.pid, _GRACE_SECONDS, send)
        _, descendants = psutil.wait_procs(descendants, timeout=_GRACE_SECONDS)


def _signal(process: psutil.Process | subprocess.Popen[bytes], name: str) -> None:
    try:
        getattr(process, name)()
    except psutil.NoSuchProcess:
        log.debug("process %s had ended already", process.pid)
