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
        refusals: dict[str, str] = {}
        channels: list[str | None] = [*self._configuration.channels()]
        for channel in channels or [None]:
            try:
                self._slack.check(channel)
            except SlackError as error:
                refusals[channel or "no channel"] = str(error)
        self._refusals = refusals

    def findings(self) -> Findings:
        slack = {f"slack, {channel}": why for channel, why in self._refusals.items()}
        return Findings(problems=self.troubles(), slack=slack)
