"""Whether Airflow is well, by its own health page; told once it has lasted, as it concerns all pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from retrain.airflow.api import AirflowApi
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step

AIRFLOW = Key("airflow", Kind.PIPELINE_SILENT, "airflow")  # what concerns all pipelines, in the place of one's name
UNWELL_FOR = timedelta(seconds=45)  # a restart takes less, and two minutes are promised
_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass
class AirflowHealth:
    """Since when Airflow is unwell. `problem` says why it gave no answer that can be read, in the newest look."""

    problem: str = ""
    _unwell_since: datetime | None = None

    def look_at(self, airflow: AirflowApi, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Trouble once Airflow has been unwell for a while, and the end of it. `incidents` are the open ones."""
        self.problem = ""
        try:
            health = airflow.health()
            unwell = [c for c in _COMPONENTS if health.get(c) and health[c]["status"] not in ("healthy", None)]
            said = {component: _said(health.get(component) or {}) for component in _COMPONENTS}
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is none
            self.problem = str(error) or repr(error)
            unwell, said = ["api-server"], {"api-server": self.problem}
        if not unwell:
            self._unwell_since = None
            if any(incident.key == AIRFLOW for incident in incidents):
                yield observed(f"airflow/well/{now.isoformat()}", now, Step.GOOD, AIRFLOW)
            return
        self._unwell_since = self._unwell_since or now
        if now - self._unwell_since >= UNWELL_FOR:
            facts = {
                "what": f"Airflow's {' and '.join(unwell)} has not answered or not beaten since {self._unwell_since:%H:%M:%S} UTC. "
                "No run starts or goes on while this lasts.",
                "health": said,
                "next": f"Restart {' and '.join(unwell)}, then look at the runs that were going on.",
            }
            yield observed(f"airflow/unwell/{self._unwell_since.isoformat()}", now, Step.TROUBLE, AIRFLOW, facts=facts)


def observed(
    name: str,
    now: datetime,
    step: Step,
    key: Key,
    partition: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Signal:
    """A signal of what the watch has seen for itself."""
    return Signal(
        id=name,
        at=now.isoformat(timespec="milliseconds"),
        step=step,
        pipeline=key.pipeline,
        kind=key.kind,
        subject=key.subject,
        partition=partition,
        facts=facts or {},
    )


def _said(part: Mapping[str, Any]) -> str:
    beats = [f"last beat {value}" for name, value in part.items() if name.startswith("latest_") and value]
    return ", ".join([str(part.get("status")), *beats])
