"""Whether the programs of the stack are well, asked the way that their users would ask."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from programs import Program
from stack_model import Stack
from supervision import ProgramState

# No proxy stands between the parts of the stack, whatever the environment says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Health:
    """Whether a program is well, and if not, what it said."""

    well: bool
    detail: str


def check_health(
    stack: Stack, programs: Iterable[Program], states: Mapping[str, ProgramState], *, timeout: float = 5
) -> dict[str, Health]:
    """Ask every program, at most `timeout` seconds each; the answers by program name."""
    components: dict[str, dict[str, str | None]] | None = None
    answers: dict[str, Health] = {}
    for program in programs:
        state = states.get(program.name)
        if state is None or state.state != "RUNNING":
            answers[program.name] = Health(False, _not_running(state))
        elif program.health:
            answers[program.name] = _ask(program.health, timeout)
        else:
            if components is None:
                components = _airflow_components(stack, timeout)
            answers[program.name] = _component_health(program, state, components)
    return answers


def _not_running(state: ProgramState | None) -> str:
    if state is None:
        return "unknown to the supervisor"
    return state.reason or state.state.lower()


def _ask(url: str, timeout: float) -> Health:
    try:
        with _OPENER.open(url, timeout=timeout) as response:
            return Health(response.status == HTTPStatus.OK, f"answered {response.status}")
    except (OSError, urllib.error.URLError) as error:
        return Health(False, f"no answer: {getattr(error, 'reason', error)}")


def _airflow_components(stack: Stack, timeout: float) -> dict[str, dict[str, str | None]]:
    try:
        with _OPENER.open(f"{stack.airflow_url}/api/v2/monitor/health", timeout=timeout) as response:
            report: dict[str, dict[str, str | None]] = json.load(response)
            return report
    except (OSError, ValueError):
        return {}


def _component_health(
    program: Program, state: ProgramState, components: Mapping[str, Mapping[str, str | None]]
) -> Health:
    report = components.get(program.component) or {}
    beat = report.get(f"latest_{program.component}_heartbeat")
    if report.get("status") != "healthy" or beat is None:
        return Health(False, "no heartbeat yet")
    # Airflow calls the heartbeat of a predecessor healthy for half a minute.
    if datetime.fromisoformat(beat).timestamp() < state.started:
        return Health(False, "no heartbeat since its start")
    return Health(True, "heartbeat")
