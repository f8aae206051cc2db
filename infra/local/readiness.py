"""Wait until the programs of the stack are healthy."""

from __future__ import annotations

import time
from collections.abc import Sequence

from health import check_health
from programs import Program
from stack_model import Stack
from supervision import Supervisor, log_file

_SECONDS = 240
_TAIL_LINES = 25
_MOST_STARTS = 3


class ReadinessError(Exception):
    """A program did not come up; the message has the end of its log."""


def await_programs(
    stack: Stack, supervisor: Supervisor, programs: Sequence[Program], began: float, *, quiet: bool = False
) -> None:
    """Wait until the programs are healthy, printing a line for each. `began` is the start of the stack (`time.monotonic`).

    Raises:
        ReadinessError: a program ends again and again, or is unhealthy for too long.
        SupervisionError: the supervisor does not answer.
    """
    waiting = list(programs)
    starts: dict[str, set[int]] = {program.name: set() for program in programs}
    while waiting:
        states = supervisor.states()
        health = check_health(stack, waiting, states, timeout=3)
        for program in [p for p in waiting if health[p.name].healthy]:
            waiting.remove(program)
            if not quiet:
                print(f"  {program.name:26} ready after {time.monotonic() - began:4.0f} s", flush=True)
        for program in waiting:
            starts[program.name] |= {states[program.name].pid} - {0}
            if states[program.name].state == "FATAL" or len(starts[program.name]) > _MOST_STARTS:
                raise ReadinessError(_failure(stack, program, "does not stay up"))
        if waiting and time.monotonic() - began > _SECONDS:
            program = waiting[0]
            raise ReadinessError(
                _failure(stack, program, f"is unhealthy after {_SECONDS} s: {health[program.name].detail}")
            )
        if waiting:
            time.sleep(0.3)


def _failure(stack: Stack, program: Program, problem: str) -> str:
    path = log_file(stack, program.name)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    tail = "\n".join(f"  | {line}" for line in lines[-_TAIL_LINES:]) or "  | (nothing)"
    return f"{program.name} {problem}. The end of {path}:\n{tail}\n`make status` shows the rest, `make down` stops it."
