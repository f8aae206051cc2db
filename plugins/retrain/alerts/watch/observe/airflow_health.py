"""Is Airflow healthy? Asks its health page; a trouble that lasts is one incident for all pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from retrain.airflow.api import AirflowApi
from retrain.alerts.facts import SilenceFacts
from retrain.alerts.incident import Incident
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.inquiry import observed

AIRFLOW = Key("airflow", Kind.PIPELINE_SILENT, "airflow")  # in place of a pipeline's name: all pipelines
# An alert comes within two minutes. Airflow itself calls a component unhealthy when it has been silent for half a minute; an
# api-server that starts in a container, as at each release, took 30 to 85 s to answer.
UNWELL_FOR, UNREACHABLE_FOR = timedelta(seconds=45), timedelta(seconds=90)
_SERVER = "api-server"
_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass
class AirflowHealth:
    """Remembers since when Airflow is unhealthy. `problem` says why the newest look could not read its health; else empty."""

    problem: str = ""
    _unwell_since: datetime | None = None

    def ask(self, airflow: AirflowApi, now: datetime, incidents: Sequence[Incident]) -> Iterator[Signal]:
        """Trouble once a component was unhealthy for UNWELL_FOR, or none answered for UNREACHABLE_FOR; a good end afterwards. `incidents` are the open ones."""
        self.problem = ""
        try:
            health = airflow.health()
            unwell = [c for c in _COMPONENTS if health.get(c) and health[c]["status"] not in ("healthy", None)]
            said = {component: _said(health.get(component) or {}) for component in _COMPONENTS}
        except Exception as error:  # noqa: BLE001 - an unreadable answer counts as no answer
            self.problem = str(error) or repr(error)
            unwell, said = [_SERVER], {_SERVER: self.problem}
        if not unwell:
            self._unwell_since = None
            if any(incident.key == AIRFLOW for incident in incidents):
                yield observed(f"airflow/well/{now.isoformat()}", now, Step.GOOD, AIRFLOW)
            return
        self._unwell_since = self._unwell_since or now
        if now - self._unwell_since >= (UNREACHABLE_FOR if unwell == [_SERVER] else UNWELL_FOR):
            facts = SilenceFacts(
                what=f"No answer or no heartbeat from Airflow's {' and '.join(unwell)} since {self._unwell_since:%H:%M:%S} UTC. "
                "No run starts or continues while this lasts.",
                health=said,
                next=f"Restart {' and '.join(unwell)}, then check the runs that were in progress.",
            )
            yield observed(f"airflow/unwell/{self._unwell_since.isoformat()}", now, Step.TROUBLE, AIRFLOW, facts=facts)


def _said(part: Mapping[str, Any]) -> str:
    beats = [f"last beat {value}" for name, value in part.items() if name.startswith("latest_") and value]
    return ", ".join([str(part.get("status")), *beats])
