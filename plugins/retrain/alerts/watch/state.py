"""The state that the parts of the watch share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from retrain.alerts.outbox import Outbox
from retrain.alerts.watch.book import Book
from retrain.alerts.watch.configuration import Configuration
from retrain.alerts.watch.marks import Marks
from retrain.alerts.watch.rendering import Rendering
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack.plan import SlackMark


@dataclass(frozen=True)
class WatchState:
    """`now` is the clock (UTC). `slack_marks` says what Slack holds of each incident."""

    settings: WatchSettings
    now: Callable[[], datetime]
    outbox: Outbox
    book: Book
    configuration: Configuration
    rendering: Rendering
    slack_marks: Marks[SlackMark]

    @classmethod
    def load(cls, settings: WatchSettings, now: Callable[[], datetime]) -> WatchState:
        """The state as an earlier watch left it in the settings' folder."""
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            settings=settings,
            now=now,
            outbox=Outbox(folder / "outbox"),
            book=Book(folder / "incidents"),
            configuration=Configuration(settings),
            rendering=Rendering(settings.addresses),
            slack_marks=Marks(folder / "told" / "slack", SlackMark),
        )
