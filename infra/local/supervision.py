"""supervisord, the process supervisor of the stack."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ProtocolError, ServerProxy

import psutil
from launch_plans import plan_file, write_plan
from program_variables import STACK_MARK, inherited_environment
from programs import Program
from stack_model import Stack
from state_files import write_private
from supervisor.xmlrpc import SupervisorTransport

# The path of a Unix socket may have 104 bytes on some systems, 108 on others.
_LONGEST_SOCKET_PATH = 100
_UNREACHABLE = (OSError, ProtocolError)


class SupervisionError(Exception):
    """supervisord did not start, does not answer, or refused a request; the message says which."""


@dataclass(frozen=True)
class ProgramState:
    """A program's state in supervisord.

    `state` is supervisord's name, such as RUNNING or FATAL; `started` is in seconds since 1970; `pid` is 0 if it does not run.
    """

    name: str
    state: str
    pid: int
    started: float
    reason: str


def log_file(stack: Stack, name: str) -> Path:
    """The log file of a program, or of the supervisor itself (`supervisord`)."""
    return stack.log_dir / f"{name}.log"


def socket_file(stack: Stack) -> Path:
    """The supervisor's control socket: in the state folder, or in a private temporary folder if that path would be too long."""
    inside = stack.run_dir / "supervisor.sock"
    if len(str(inside)) <= _LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(str(stack.state).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"retrain-{os.getuid()}-{digest}" / "supervisor.sock"


def pid_file(stack: Stack) -> Path:
    return stack.run_dir / "supervisord.pid"


def configuration(stack: Stack, programs: Iterable[Program]) -> str:
    """The text of supervisord's configuration. It holds no secrets: those are in the launch plans."""
    launcher = Path(__file__).with_name("launch.py")
    sections = [
        "[unix_http_server]",
        f"file={_escaped(socket_file(stack))}",
        "chmod=0600",
        "[supervisord]",
        f"pidfile={_escaped(pid_file(stack))}",
        f"logfile={_escaped(log_file(stack, 'supervisord'))}",
        "logfile_maxbytes=2MB",
        "logfile_backups=1",
        f"directory={_escaped(stack.state)}",
        f"identifier={_escaped(stack.state.name)}",
        "nodaemon=false",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    groups: dict[str, list[str]] = {}
    for program in programs:
        groups.setdefault(program.group, []).append(program.name)
        command = shlex.join([sys.executable, "-I", "-S", str(launcher), str(plan_file(stack, program))])
        sections += [
            f"[program:{program.name}]",
            f"command={_escaped(command)}",
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            "startretries=2",
            "stopasgroup=true",
            "killasgroup=true",
            f"stopwaitsecs={program.stop_seconds}",
            "redirect_stderr=true",
            f"stdout_logfile={_escaped(log_file(stack, program.name))}",
            "stdout_logfile_maxbytes=5MB",
            "stdout_logfile_backups=2",
        ]
    # Groups stop one after the other, in reverse order; the programs of a group stop together.
    for priority, (group, members) in enumerate(groups.items(), start=1):
        sections += [f"[group:{group}]", f"programs={','.join(members)}", f"priority={priority}"]
    return "\n".join(sections) + "\n"


def supervisor_pid(stack: Stack) -> int | None:
    """The process id of the supervisor that runs this stack; None if none runs."""
    try:
        pid = int(pid_file(stack).read_text(encoding="utf-8"))
        environment = psutil.Process(pid).environ()
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if environment.get(STACK_MARK) == str(stack.state) else None


def start_supervisor(stack: Stack, programs: Iterable[Program], environ: Mapping[str, str]) -> None:
    """Start supervisord in the background, without starting its programs.

    Raises:
        SupervisionError: supervisord did not start.
    """
    programs = tuple(programs)
    for folder in (stack.run_dir, stack.log_dir, socket_file(stack).parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for program in programs:
        write_plan(stack, program)
    config = stack.run_dir / "supervisord.conf"
    write_private(config, configuration(stack, programs))
    outcome = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
        env=inherited_environment(environ) | {STACK_MARK: str(stack.state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    if outcome.returncode:
        raise SupervisionError(f"supervisord did not start from {config}: {outcome.stdout.strip()}")


class Supervisor:
    """A client of the running supervisor.

    Raises:
        SupervisionError: in each method, when the supervisor does not answer or refuses.
    """

    def __init__(self, stack: Stack) -> None:
        self._socket = socket_file(stack)
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        # The address is not used: the transport opens the socket.
        self._proxy = ServerProxy("http://127.0.0.1", transport=transport)

    def states(self) -> dict[str, ProgramState]:
        """Program name -> its state."""
        answer = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        return {
            row["name"]: ProgramState(row["name"], row["statename"], row["pid"], float(row["start"]), row["spawnerr"])
            for row in answer
        }

    def start(self, program: Program) -> None:
        """Start a program without waiting for it; does nothing if it runs."""
        self._call("startProcess", f"{program.group}:{program.name}", False)

    def stop(self, program: Program) -> None:
        """Stop a program, then wait for its end; it is not restarted automatically."""
        self._call("stopProcess", f"{program.group}:{program.name}", True)

    def restart(self, program: Program) -> None:
        """Stop a program, wait for its end, and start it again."""
        self.stop(program)
        self.start(program)

    def shut_down(self) -> None:
        """Ask the supervisor to stop all programs and itself; returns before they have ended."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> object:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultString.startswith(("ALREADY_STARTED", "NOT_RUNNING")):
                return None
            raise SupervisionError(f"supervisord refused {method}{arguments}: {fault.faultString}") from fault
        except _UNREACHABLE as error:
            raise SupervisionError(f"supervisord does not answer on {self._socket}: {error}") from error


def _escaped(text: str | Path) -> str:
    """Escape a value, so that supervisord does not expand %(…)s in it."""
    return str(text).replace("%", "%%")
