"""Starts every child process: argv only, output streamed to the task's log, an end for the whole tree."""

from __future__ import annotations

import codecs
import io
import logging
import os
import selectors
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

_TAIL_LINES = 400
_GRACE_SECONDS = 10
_SAMPLE_SECONDS = 0.25
_CHUNK = 1 << 16
_PIPE_HOLDS = 1 << 20  # bytes; Linux lets a user make no larger pipe


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
    stderr_too: bool = True,
    each_line: Callable[[str], None] | None = None,
    each_sample: Callable[[int], None] | None = None,
) -> Finished:
    """Run to the end or to `timeout` seconds, whichever is first; never raises for a non-zero exit.

    `each_line` sees every line of the output, of which `Finished` keeps the end alone. `each_sample` is called with the child's
    process id four times a second, in a thread of its own, while the child runs. Without `stderr_too` the child's stderr is not
    part of the output: it goes where this process's goes.

    The child stays in the task's process group, so that Airflow's own end of a task reaches it too. On a timeout, and when
    this process is interrupted, the whole tree gets SIGTERM, then SIGKILL. A process that outlives the child and still has its
    output open is not waited for.
    """
    command = tuple(str(part) for part in argv)
    started = time.monotonic()
    lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def take(line: str) -> None:
        lines.append(line)
        if each_line is not None:
            each_line(line)
        if not quiet:
            log.info("%s", line.rstrip())

    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if stderr_too else None,
    )
    timed_out = False
    with _read(child, take), _sampled(child.pid, each_sample):
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            if child.poll() is None:
                end_tree(child)
    return Finished(command, child.returncode, "\n".join(lines), time.monotonic() - started, timed_out)


@contextmanager
def _read(child: subprocess.Popen[bytes], take: Callable[[str], None]) -> Iterator[None]:
    """Read the child's output in a thread, to its end or to the end of the block; then neither thread nor pipe is left."""
    if child.stdout is None:
        yield
        return
    stopped, stop = os.pipe()
    reader = threading.Thread(
        target=_pass_lines, args=(child.stdout.fileno(), stopped, take), name="output of a child process", daemon=True
    )
    reader.start()
    try:
        yield
    finally:
        os.close(stop)  # which makes `stopped` readable
        reader.join()
        os.close(stopped)
        child.stdout.close()


def _pass_lines(source: int, stopped: int, take: Callable[[str], None]) -> None:
    """Pass on each line of the pipe `source` until it ends. Once `stopped` is readable, only those that are in it already."""
    os.set_blocking(source, False)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest, left = "", _PIPE_HOLDS
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        selector.register(stopped, selectors.EVENT_READ)
        while left > 0:
            ready = {key.fd for key, _ in selector.select()}
            chunk = os.read(source, _CHUNK) if source in ready else b""
            if not chunk:  # its end, or stopped and empty
                break
            if stopped in ready:
                left -= len(chunk)
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                take(line)
    rest = (rest + decoder.decode(b"", final=True)).rstrip("\n")
    if rest:
        take(rest)


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


def peak_memory_below(pid: int) -> int:
    """The largest resident memory, in bytes, that any one process below `pid` has had until now; 0 when there is none.

    It is the kernel's high-water mark of each process that is there now. Processes do not add up, for they share memory.
    """
    try:
        top = psutil.Process(pid)
        own, below = top.cmdline(), top.children(recursive=True)
    except psutil.Error:
        return 0
    return max((_high_water(process) for process in below if _started(process, own)), default=0)


def _started(process: psutil.Process, parent: list[str]) -> bool:
    """Whether it runs its own program already. Until then its memory is its parent's."""
    try:
        return process.cmdline() != parent
    except psutil.Error:
        return False


def _high_water(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return 0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0


def end_tree(child: subprocess.Popen[bytes]) -> None:
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


def _signal(process: psutil.Process | subprocess.Popen[bytes], name: str) -> None:
    try:
        getattr(process, name)()
    except psutil.NoSuchProcess:
        log.debug("process %s had ended already", process.pid)
