"""The part `check`: asks Slack whether it would take a message, before there is one."""

from __future__ import annotations

from retrain.alerts.errors import SlackError
from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class CheckPart(Part):
    name = "check"

    def __init__(self, state: WatchState) -> None:
        super().__init__(state.settings.seconds.check)
        self._configuration = state.configuration
        self._slack = state.settings.slack
        self._refusals: dict[str, str] = {}  # by channel

    def work(self) -> None:
        """One request for the token, and one for each channel."""
        channels = self._configuration.channels()
        try:
            app = self._slack.app()
        except SlackError as error:
            self._refusals = dict.fromkeys(channels or ["no channel"], str(error))
            return
        refusals: dict[str, str] = {}
        for channel in channels:
            try:
                self._slack.check_channel(channel, app)
            except SlackError as error:
                refusals[channel] = str(error)
        self._refusals = refusals

    def findings(self) -> Findings:
        slack = {f"slack, {channel}": why for channel, why in self._refusals.items()}
        return Findings(problems=self.troubles(), slack=slack)
