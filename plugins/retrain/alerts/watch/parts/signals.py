"""The part `signals`: folds the signals that tasks put into the outbox."""

from __future__ import annotations

from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.intake import Intake
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState

_WAITS_TOO_LONG = 60.0  # seconds of a signal in the outbox


class SignalsPart(Part):
    name = "signals"

    def __init__(self, state: WatchState, intake: Intake) -> None:
        super().__init__(state.settings.seconds.signals)
        self._state = state
        self._intake = intake

    def work(self) -> None:
        self._intake.fold_outbox()

    def findings(self) -> Findings:
        """Besides its own trouble: signals that wait, and files that the watch did not write."""
        outbox, folder = self._state.outbox, self._state.settings.folder
        problems = self.troubles()
        try:
            count, age = outbox.waiting()
            if age > _WAITS_TOO_LONG:
                problems["outbox"] = f"{count} signals wait, the oldest for {age:.0f} s."
        except OSError as error:
            problems["outbox"] = f"The outbox cannot be read: {error}"
        attention = {f"signal {name}": why for name, why in dict(outbox.unreadable).items()}
        garbage = [*outbox.garbage(), *(path.name for path in folder.rglob("*.broken"))]
        if garbage:
            attention["garbage"] = (
                f"{len(garbage)} files were not written by the watch: {', '.join(garbage[:5])}. Look, then remove them."
            )
        return Findings(problems=problems, attention=attention)
