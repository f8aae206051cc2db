"""Servers and components of the stack that are down for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from programs import plan_programs
from running_stack import Live, wait_until
from supervision import Supervisor


@contextmanager
def stopped(live: Live, name: str) -> Iterator[None]:
    """A server of the stack, down until the end of the block."""
    program = next(p for p in plan_programs(live.stack, {}) if p.name == name)
    supervisor = Supervisor(live.stack)
    supervisor.stop(program)
    try:
        yield
    finally:
        supervisor.start(program)
        if program.health:
            wait_until(lambda: _answers(program.health), 60, f"{name} does not answer again")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
