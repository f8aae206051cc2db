"""Processes of this machine: who holds a port, who belongs to a stack, what they weigh, and how to end them."""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil
from program_variables import STACK_MARK
from stack_model import LOOPBACK, Stack


@dataclass(frozen=True)
class PortHolder:
    """Who listens on a port; `pid` is None when the system does not tell (another user's process)."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"pid {self.pid} ({self.command})"


def port_holder(port: int) -> PortHolder | None:
    """Tell who keeps the stack from listening on a loopback port, None if the port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                return PortHolder(port, None, "the system keeps ports below 1024 for root")
            return _listener(port)
    return None


def _listener(port: int) -> PortHolder:
    for process in psutil.process_iter():
        try:
            sockets = process.net_connections(kind="tcp")
            if any(s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port == port for s in sockets):
                return PortHolder(port, process.pid, shlex.join(process.cmdline())[:160])
        except psutil.Error:
            continue
    return PortHolder(port, None, "")


def marked_processes(stack: Stack) -> list[psutil.Process]:
    """List the processes that carry this stack's mark, and their descendants, without the caller and its ancestors."""
    spared = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(STACK_MARK) == str(stack.state):
                found[process.pid] = process
                found |= {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            # Gone since it was listed, or another user's.
            continue
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def end_processes(processes: Iterable[psutil.Process], *, grace_seconds: float) -> list[psutil.Process]:
    """Ask processes to end, kill those that do not within the grace time; return what is still alive after that."""
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
    """Give the resident memory of a process and its descendants in bytes; pages that they share count for each."""
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
