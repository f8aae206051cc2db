"""The part `slack`: brings Slack to what the incidents and digests say."""

from __future__ import annotations

from retrain.alerts.watch.editions import Editions
from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.slack.delivery import Delivery
from retrain.alerts.watch.slack.plan import SlackThread
from retrain.alerts.watch.state import WatchState


class SlackPart(Part):
    name = "slack"

    def __init__(self, state: WatchState, editions: Editions) -> None:
        super().__init__(state.settings.seconds.slack)
        self._state = state
        self._editions = editions
        self.delivery = Delivery(state.settings.slack, state.slack_marks, state.outbox.picture)

    def work(self) -> None:
        self.delivery.run([*self._of_incidents(), *self._of_digests()])

    def findings(self) -> Findings:
        state = self._state
        slack = {f"slack, {name}": pause.why for name, pause in dict(self.delivery.pauses).items()}
        attention = {f"message {name}": why for name, why in dict(state.rendering.unwritten).items()}
        for known in state.book.open():
            if state.configuration.channel(known.key.pipeline) is None:
                place = f"channel of {known.key.pipeline}"
                slack[place] = "Its incidents have no channel: no pipeline's file can be read."
            for item, why in state.slack_marks.of(known.id).refused.items():
                attention[f"refused {known.id} {item}".strip()] = why
        return Findings(problems=self.troubles(), slack=slack, attention=attention)

    def _of_incidents(self) -> list[SlackThread]:
        state, today = self._state, self._state.now().date()
        threads: list[SlackThread] = []
        for incident in state.book.incidents():
            mark, channel = state.slack_marks.of(incident.id), state.configuration.channel(incident.key.pipeline)
            if not mark.over and channel:
                silenced = state.configuration.is_silenced(incident, today)
                threads.append(state.rendering.thread(incident, channel, mark, silenced=silenced))
        return threads

    def _of_digests(self) -> list[SlackThread]:
        marks = self._state.slack_marks
        return [
            SlackThread(e.id, e.channel, e.at, e.at, e, over=True)
            for e in self._editions.all
            if not marks.of(e.id).over
        ]
