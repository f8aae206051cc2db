"""The part `configuration`: reads pipelines and silences again, and removes what is over 90 days old."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retrain.alerts.watch.book import KEPT
from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class ConfigurationPart(Part):
    """`forget` are functions that remove what another part keeps of an incident, by the incident's id."""

    name = "configuration"

    def __init__(self, state: WatchState, forget: Sequence[Callable[[str], None]]) -> None:
        super().__init__(state.settings.seconds.configuration)
        self._state = state
        self._forget = forget
        self._outbox_problem = ""

    def work(self) -> None:
        state, outbox = self._state, self._state.outbox
        state.configuration.read()
        try:
            outbox.check()
            self._outbox_problem = ""
        except OSError as error:
            self._outbox_problem = f"Tasks cannot write signals below {outbox.folder}: {error}"
        for incident in state.book.prune(state.now()):
            for forget in self._forget:
                forget(incident)
        outbox.prune(state.now() - KEPT)
        outbox.keep_ballast()

    def findings(self) -> Findings:
        configuration, problem = self._state.configuration, self._outbox_problem
        return Findings(
            problems={**self.troubles(), **({"outbox": problem} if problem else {})},
            attention={
                **{f"pipeline {name}": why for name, why in configuration.broken.items()},
                **{f"silence {number}": why for number, why in enumerate(configuration.silences.invalid, 1)},
            },
        )
