"""The stack's command line, on a state folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

from stack_loading import load_stack
from stack_model import Ports, Stack

ROOT = Path(__file__).resolve().parents[2]
PORTS = [f"RETRAIN_{field.name.upper()}_PORT" for field in fields(Ports)]
_OTHER_STACKS = ("AIRFLOW", "RETRAIN_")


@dataclass(frozen=True)
class StackCommand:
    """`stack.py` of the checkout `root`; `environ` names the state folder and the ports."""

    environ: dict[str, str]
    root: Path = ROOT

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.root / "infra" / "local" / "stack.py"), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=290,
            check=False,
        )

    @property
    def stack(self) -> Stack:
        return load_stack(self.root, self.environ)


def on_free_ports(state: Path, root: Path = ROOT, **variables: str) -> StackCommand:
    """The command line of a stack that does not run yet, with more variables of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OTHER_STACKS)}
    ports = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    return StackCommand(inherited | ports | {"RETRAIN_STATE": str(state)} | variables, root)


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback on which no server listens."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
