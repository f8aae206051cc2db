"""The part `second channel`: announces the opening and the end of incidents beside Slack."""

from __future__ import annotations

from functools import partial

from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.marks import Marks
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.second_channel import Announcement, SecondChannel, SecondChannelMark
from retrain.alerts.watch.state import WatchState


class SecondChannelPart(Part):
    name = "second channel"

    def __init__(self, state: WatchState) -> None:
        super().__init__(state.settings.seconds.second_channel)
        self._state = state
        self.marks = Marks(state.settings.folder / "told" / "second", SecondChannelMark)
        self.channel = SecondChannel(state.settings.second, self.marks)

    @property
    def delivers(self) -> bool:
        """True if an address took everything in the newest turn."""
        return self.channel.delivers

    def work(self) -> None:
        state, now = self._state, self._state.now()
        announcements = [
            Announcement(
                incident.id,
                incident.opened_at,
                incident.open,
                state.configuration.is_silenced(incident, now.date()),
                partial(state.rendering.top, incident),
            )
            for incident in state.book.incidents()
        ]
        self.channel.run(announcements, now.isoformat())

    def findings(self) -> Findings:
        troubles = {f"second channel, {name}": why for name, why in dict(self.channel.troubles).items()}
        return Findings(problems=self.troubles(), attention=troubles)
