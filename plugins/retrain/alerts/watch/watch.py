"""The watch: its parts, and the state that they share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from retrain.alerts.watch import health
from retrain.alerts.watch.editions import Editions
from retrain.alerts.watch.health import WatchHealth
from retrain.alerts.watch.housekeeping import Housekeeping
from retrain.alerts.watch.intake import Intake
from retrain.alerts.watch.parts.check import CheckPart
from retrain.alerts.watch.parts.configuration import ConfigurationPart
from retrain.alerts.watch.parts.digest import DigestPart
from retrain.alerts.watch.parts.heartbeat import HeartbeatPart
from retrain.alerts.watch.parts.observe import ObservePart, PipelineObserver
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.parts.second_channel import SecondChannelPart
from retrain.alerts.watch.parts.signals import SignalsPart
from retrain.alerts.watch.parts.situation import SituationPart
from retrain.alerts.watch.parts.slack import SlackPart
from retrain.alerts.watch.servers import LedgerReader
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.situations import AskLedger
from retrain.alerts.watch.state import WatchState

_ENDS_WITHIN = 3.0  # seconds


class Watch:
    """`now` is the clock (UTC). Without `observer` and `ledger`, the servers of the settings are asked."""

    def __init__(
        self,
        settings: WatchSettings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observer: PipelineObserver | None = None,
        ledger: AskLedger | None = None,
    ) -> None:
        self.state = state = WatchState.load(settings, now)
        editions = Editions(settings.folder / "digests", settings.digest_at)
        intake = Intake(state, ledger or LedgerReader(), wake_channels=self._wake_channels)
        self.slack = SlackPart(state, editions)
        self.second_channel = SecondChannelPart(state)
        self.check = CheckPart(state)
        forget = (state.slack_marks.forget, self.second_channel.marks.forget, state.rendering.forget)
        parts: tuple[Part, ...] = (
            ConfigurationPart(state, Housekeeping(state, forget)),
            SignalsPart(state, intake),
            ObservePart(state, intake, observer),
            SituationPart(state, intake),
            self.slack,
            self.second_channel,
            DigestPart(state, editions, self.slack.wake),
            self.check,
            HeartbeatPart(state, self.health),
        )
        self.parts = {part.name: part for part in parts}

    def start(self) -> None:
        """Start every part. The configuration is read before, so that the first message finds its channel."""
        self.parts[ConfigurationPart.name].take_turn()
        for part in self.parts.values():
            part.start()

    def stop(self) -> None:
        """Stop within seconds; a part that hangs is left behind."""
        for part in self.parts.values():
            part.stop()
        for part in self.parts.values():
            part.join(_ENDS_WITHIN / len(self.parts))

    def health(self) -> WatchHealth:
        """What is wrong now."""
        findings = [part.findings() for part in self.parts.values()]
        return health.combined(findings, second_channel_delivers=self.second_channel.delivers)

    def _wake_channels(self) -> None:
        self.slack.wake()
        self.second_channel.wake()
