"""The memory of running child processes."""

from __future__ import annotations

from pathlib import Path

import psutil


def peak_below(pid: int) -> int:
    """The largest resident memory, in bytes, that any one process below `pid` has had until now; 0 if there is no process.

    It is the kernel's high-water mark (VmHWM) of the processes that exist now. They are not added up, because they share memory.
    """
    try:
        top = psutil.Process(pid)
        own, below = top.cmdline(), top.children(recursive=True)
    except psutil.Error:
        return 0
    return max((_high_water(process) for process in below if _started(process, own)), default=0)


def _started(process: psutil.Process, parent: list[str]) -> bool:
    """True if the process already runs its own program. Until then its memory is its parent's."""
    try:
        return process.cmdline() != parent
    except psutil.Error:
        return False


def _high_water(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:  # the process has ended
        return 0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0
