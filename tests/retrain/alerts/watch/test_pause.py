"""A server that fails is asked again after a pause, which grows with each failure up to a limit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from retrain.alerts.watch import pause as module
from retrain.alerts.watch.pause import Pause, pause_after


def test_the_pause_doubles_with_each_failure_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    pauses: list[Pause] = []
    for number in range(5):
        pauses.append(pause_after(pauses[-1] if pauses else None, f"failure {number}", first=5, longest=30))
    assert [pause.until - 1000 for pause in pauses] == [5, 10, 20, 30, 30]
    assert (pauses[-1].failures, pauses[-1].why) == (5, "failure 4")


def test_a_pause_is_over_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    pause = pause_after(None, "it failed", first=5, longest=30)
    assert not pause.over
    clock[0] += 5
    assert pause.over
