"""The part `heartbeat`: shows the world outside that messages can be delivered."""

from __future__ import annotations

from collections.abc import Callable

from retrain.alerts.watch.health import Findings, WatchHealth
from retrain.alerts.watch.heartbeat import Heartbeat
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState

_OUTSIDE_EVERY = 60  # seconds between two requests to the service outside


class HeartbeatPart(Part):
    name = "heartbeat"

    def __init__(self, state: WatchState, health: Callable[[], WatchHealth]) -> None:
        settings = state.settings
        super().__init__(settings.seconds.heartbeat)
        self._now = state.now
        self._health = health
        self._heartbeat = Heartbeat(settings.folder / "heartbeat", settings.heartbeat_url, settings.seconds.undelivered)

    def work(self) -> None:
        outside = self.turns % max(1, round(_OUTSIDE_EVERY / self.every)) == 0
        self._heartbeat.beat(self._health().problems, self._now(), outside=outside)

    def findings(self) -> Findings:
        """A heartbeat that fails is only worth a look: messages are delivered without it."""
        return Findings(attention=self.troubles())
