"""The part `observe`: looks at S3 and Airflow for what no task reports."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from retrain.alerts.incident import Incident
from retrain.alerts.signal import Signal
from retrain.alerts.watch import servers
from retrain.alerts.watch.health import Findings
from retrain.alerts.watch.intake import Intake
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.state import WatchState
from retrain.deployment.pipeline_file import Deployment

_UNANSWERED_TOO_LONG = 60.0  # seconds


class PipelineObserver(Protocol):
    """`observe.observer.Observer`, as this part uses it."""

    deployments: Sequence[Deployment]

    @property
    def problems(self) -> Mapping[str, str]: ...
    @property
    def airflow_problem(self) -> str: ...
    def note_recorded(self, days: Mapping[str, Collection[str]]) -> None: ...
    def observe(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]: ...


@dataclass(frozen=True)
class Unanswered:
    """Since when (seconds of the monotonic clock) the questions about a pipeline get no answer, and the newest reason."""

    since: float
    why: str


class ObservePart(Part):
    """Without an `observer` it connects to the servers of the settings at its first turn."""

    name = "observe"

    def __init__(self, state: WatchState, intake: Intake, observer: PipelineObserver | None) -> None:
        super().__init__(state.settings.seconds.observe)
        self._state = state
        self._intake = intake
        self._given = observer
        self._unanswered: dict[str, Unanswered] = {}  # by pipeline
        self._airflow_problem = ""

    def work(self) -> None:
        state, observer = self._state, self._observer
        observer.deployments = list(state.configuration.deployments.values())
        observer.note_recorded(self._intake.take_recorded())
        found = observer.observe(state.now(), state.book.incidents())
        now, before = time.monotonic(), self._unanswered
        self._unanswered = {
            pipeline: Unanswered(before[pipeline].since if pipeline in before else now, why)
            for pipeline, why in observer.problems.items()
        }
        self._airflow_problem = observer.airflow_problem
        self._intake.fold_observed(found)

    def findings(self) -> Findings:
        """An Airflow that does not answer at all has an incident of its own, so here it is only worth a look."""
        problems, attention, now = self.troubles(), dict[str, str](), time.monotonic()
        blind = {name: u.why for name, u in self._unanswered.items() if now - u.since > _UNANSWERED_TOO_LONG}
        if blind and set(self._state.configuration.deployments) <= set(blind):
            problems[self.name] = " ".join(dict.fromkeys(blind.values()))
        else:
            attention |= {f"observe {name}": why for name, why in blind.items()}
        if self._airflow_problem:
            attention["observe Airflow"] = self._airflow_problem
        return Findings(problems=problems, attention=attention)

    @cached_property
    def _observer(self) -> PipelineObserver:
        if self._given is not None:
            return self._given
        return servers.observer(self._state.settings, self._state.now())
