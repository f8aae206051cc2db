"""Health checks of the stack's programs, over the same addresses that their users use."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from programs import Program
from stack_model import Stack
from supervision import ProgramState

OLDEST_HEARTBEAT = 180  # seconds
# The programs are on the loopback: a proxy from the environment must not be used.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class ProgramHealth:
    """The health of a program; `detail` is its answer, or the reason why it is unhealthy, for `make status`."""

    healthy: bool
    detail: str


def check_health(
    stack: Stack, programs: Iterable[Program], states: Mapping[str, ProgramState], *, timeout: float = 5
) -> dict[str, ProgramHealth]:
    """Check every program; returns the results by program name.

    Args:
        stack: the stack of the programs.
        programs: the programs to check.
        states: the supervisor's view of them, by program name.
        timeout: how long to wait for each answer, in seconds.
    """
    components: dict[str, dict[str, str | None]] | None = None
    answers: dict[str, ProgramHealth] = {}
    for program in programs:
        state = states.get(program.name)
        if state is None or state.state != "RUNNING":
            answers[program.name] = ProgramHealth(False, _not_running(state))
        elif program.health:
            answers[program.name] = _ask(program.health, timeout)
        elif program.heartbeat:
            answers[program.name] = _touched(program.heartbeat, program.result, state.started)
        else:
            if components is None:
                components = _airflow_components(stack, timeout)
            answers[program.name] = _component_health(program, state, components)
    return answers


def _not_running(state: ProgramState | None) -> str:
    if state is None:
        return "unknown to the supervisor"
    return state.reason or state.state.lower()


def _ask(url: str, timeout: float) -> ProgramHealth:
    try:
        with _OPENER.open(url, timeout=timeout) as response:
            return ProgramHealth(response.status == HTTPStatus.OK, f"answered {response.status}")
    except (OSError, urllib.error.URLError) as error:
        return ProgramHealth(False, f"no answer: {getattr(error, 'reason', error)}")


def _touched(heartbeat: Path, result: Path | None, started: float) -> ProgramHealth:
    try:
        beat = heartbeat.stat().st_mtime
    except OSError:
        return ProgramHealth(False, "no heartbeat yet")
    if beat < started:
        return ProgramHealth(False, "no heartbeat since its start")
    age = time.time() - beat
    if age > OLDEST_HEARTBEAT:
        return ProgramHealth(False, f"no heartbeat for {age:.0f} s")
    return ProgramHealth(True, f"heartbeat, {_last_result(result)}" if result else "heartbeat")


def _last_result(path: Path) -> str:
    """The last result of a program in a few words. A failed one does not make it unhealthy: it tries again, and a restart changes nothing."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        ended = datetime.fromisoformat(document["at"]).astimezone()
        if document["error"]:
            return f"failed at {ended:%d %b %H:%M}: {document['error']}"
        return f"{sum(document['removed'].values())} rows removed at {ended:%d %b %H:%M}"
    except FileNotFoundError:
        return "no result yet"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} cannot be read ({error!r})"


def _airflow_components(stack: Stack, timeout: float) -> dict[str, dict[str, str | None]]:
    try:
        with _OPENER.open(f"{stack.airflow_url}/api/v2/monitor/health", timeout=timeout) as response:
            report: dict[str, dict[str, str | None]] = json.load(response)
            return report
    except (OSError, ValueError):
        return {}


def _component_health(
    program: Program, state: ProgramState, components: Mapping[str, Mapping[str, str | None]]
) -> ProgramHealth:
    report = components.get(program.component) or {}
    beat = report.get(f"latest_{program.component}_heartbeat")
    if report.get("status") != "healthy" or beat is None:
        return ProgramHealth(False, "no heartbeat yet")
    # For half a minute after a restart, Airflow still counts the heartbeat of the previous process as healthy.
    if datetime.fromisoformat(beat).timestamp() < state.started:
        return ProgramHealth(False, "no heartbeat since its start")
    return ProgramHealth(True, "heartbeat")
