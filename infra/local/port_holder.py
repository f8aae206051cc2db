"""Find the process that keeps the stack from listening on a port."""

from __future__ import annotations

import errno
import shlex
import socket
from dataclasses import dataclass

import psutil
from stack_model import LOOPBACK


@dataclass(frozen=True)
class PortHolder:
    """The process that listens on a port; `pid` is None when the system does not show it (another user's process)."""

    port: int
    pid: int | None
    command: str

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"pid {self.pid} ({self.command})"


def port_holder(port: int) -> PortHolder | None:
    """The process that keeps the stack from listening on a loopback port; None if the port is free."""
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
