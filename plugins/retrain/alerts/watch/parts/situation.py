"""The part `situation`: completes open incidents whose ledger could not be read."""

from __future__ import annotations

from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.intake import Intake
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class SituationPart(Part):
    name = "situation"

    def __init__(self, state: WatchState, intake: Intake) -> None:
        super().__init__(state.settings.seconds.situation)
        self._book = state.book
        self._intake = intake

    def work(self) -> None:
        self._intake.complete_situations()

    def findings(self) -> Findings:
        unknown = {
            f"situation of {known.key.pipeline}": known.situation.unknown
            for known in self._book.open()
            if known.situation and known.situation.unknown
        }
        return Findings(problems=self.troubles(), attention=unknown)
