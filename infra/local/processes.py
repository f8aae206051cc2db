"""The processes of a stack: found by their mark, measured, ended."""

from __future__ import annotations

from collections.abc import Iterable

import psutil
from program_variables import STACK_MARK
from stack_model import Stack


def marked_processes(stack: Stack) -> list[psutil.Process]:
    """The processes with this stack's mark, with their descendants, except the caller and its ancestors."""
    spared = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(STACK_MARK) == str(stack.state):
                found[process.pid] = process
                found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            # It has ended since it was listed, or belongs to another user.
            continue
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def end_processes(processes: Iterable[psutil.Process], *, grace_seconds: float) -> list[psutil.Process]:
    """Terminate processes, then kill those that do not end within the grace time; returns those still alive after that."""
    remaining = list(processes)
    for process in remaining:
        _signal(process, "terminate")
    _, remaining = psutil.wait_procs(remaining, timeout=grace_seconds)
    for process in remaining:
        _signal(process, "kill")
    _, remaining = psutil.wait_procs(remaining, timeout=5)
    return remaining


def _signal(process: psutil.Process, method: str) -> None:
    try:
        getattr(process, method)()
    except psutil.NoSuchProcess:
        return


def tree_memory(pid: int) -> int:
    """The resident memory of a process and its descendants, in bytes; shared pages count once per process."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in tree:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total
