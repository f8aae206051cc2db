"""The part `configuration`: reads the configuration again."""

from __future__ import annotations

from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.housekeeping import Housekeeping
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState


class ConfigurationPart(Part):
    """The housekeeping is done in the same turn."""

    name = "configuration"

    def __init__(self, state: WatchState, housekeeping: Housekeeping) -> None:
        super().__init__(state.settings.seconds.configuration)
        self._configuration = state.configuration
        self._housekeeping = housekeeping

    def work(self) -> None:
        self._configuration.read()
        self._housekeeping.run()

    def findings(self) -> Findings:
        configuration, problem = self._configuration, self._housekeeping.outbox_problem
        return Findings(
            problems={**self.troubles(), **({"outbox": problem} if problem else {})},
            attention={
                **{f"pipeline {name}": why for name, why in configuration.broken.items()},
                **{f"silence {number}": why for number, why in enumerate(configuration.silences.invalid, 1)},
            },
        )
