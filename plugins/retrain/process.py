"""Starts every child process: argv only, output streamed to the task's log, an end for the whole tree."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

_TAIL_LINES = 400
_GRACE_SECONDS = 10


@dataclass(frozen=True)
class Finished:
    """How a process ended. `returncode` is negative for a signal; `output` is the end of stdout and stderr together."""

    argv: tuple[str, ...]
    returncode: int
    output: str
    seconds: float
    timed_out: bool

    @property
    def lines(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.strip()]


_PYTHONS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


def environment(**changes: str) -> dict[str, str]:
    """What a child inherits: the environment without Airflow's settings, connections and keys, and without our own Python.

    `changes` come on top; an empty value takes the variable away.
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
    each_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run to the end or to `timeout` seconds, whichever is first; never raises for a non-zero exit.

    `each_line` sees every line of the output, of which `Finished` keeps the end alone.

    The child stays in the task's process group, so that Airflow's own end of a task reaches it too. On a timeout, and when
    this process is interrupted, the whole tree gets SIGTERM, then SIGKILL.
    """
    command = tuple(str(part) for part in argv)
    started = time.monotonic()
    lines: deque[str] = deque(maxlen=_TAIL_LINES)
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )

    def read() -> None:
        if child.stdout is None:
            return
        for line in child.stdout:
            lines.append(line.rstrip("\n"))
            if each_line is not None:
                each_line(line.rstrip("\n"))
            if not quiet:
                log.info("%s", line.rstrip())

    reader = threading.Thread(target=read, name="output of a child process", daemon=True)
    reader.start()
    timed_out = False
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        if child.poll() is None:
            end_tree(child)
        reader.join(_GRACE_SECONDS)
    return Finished(command, child.returncode, "\n".join(lines), time.monotonic() - started, timed_out)


def end_tree(child: subprocess.Popen[str]) -> None:
    """SIGTERM to a child and all its descendants, SIGKILL to what is left after the grace."""
    try:
        descendants = psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        descendants = []
    for send in ("terminate", "kill"):
        _signal(child, send)
        for descendant in descendants:
            _signal(descendant, send)
        # The child is waited for by subprocess alone: psutil would reap it, and its return code would read 0.
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("process %s is still there %d s after %s", child.pid, _GRACE_SECONDS, send)
        _, descendants = psutil.wait_procs(descendants, timeout=_GRACE_SECONDS)


def _signal(process: psutil.Process | subprocess.Popen[str], name: str) -> None:
    try:
        getattr(process, name)()
    except psutil.NoSuchProcess:
        log.debug("process %s had ended already", process.pid)
