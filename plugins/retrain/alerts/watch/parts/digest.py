"""The part `digest`: composes the day's digest when it is due."""

from __future__ import annotations

from collections.abc import Callable

from retrain.alerts.message.digest import digest
from retrain.alerts.message.plain_text import Content
from retrain.alerts.watch.editions import Editions, Window
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class DigestPart(Part):
    """`wake_slack` is called when there is a digest to post."""

    name = "digest"

    def __init__(self, state: WatchState, editions: Editions, wake_slack: Callable[[], None]) -> None:
        super().__init__(state.settings.seconds.digest)
        self._state = state
        self._editions = editions
        self._wake_slack = wake_slack

    def work(self) -> None:
        window = self._editions.due(self._state.now())
        if window is None:
            return
        self._editions.compose(window, self._writer(window), self._state.configuration.channels())
        self._wake_slack()

    def _writer(self, window: Window) -> Callable[[str], Content | None]:
        """A function that writes the digest of one channel. All channels see the incidents of the same moment."""
        state = self._state
        notes = state.book.notes(window.after, window.until)
        known = state.book.incidents()
        ended = [i for i in known if i.resolved_at is not None and window.after < i.resolved_at <= window.until]
        channel_of = state.configuration.channel

        def write(channel: str) -> Content | None:
            return digest(
                window.day,
                [note for note in notes if channel_of(note.pipeline) == channel],
                [i for i in known if i.open and channel_of(i.key.pipeline) == channel],
                [i for i in ended if channel_of(i.key.pipeline) == channel],
                state.configuration.silences,
                state.settings.addresses,
            )

        return write
