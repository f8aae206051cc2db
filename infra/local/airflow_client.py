"""A client of Airflow's REST API, with the requests that the demo sends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from urllib.parse import quote

import requests

_TIMEOUT = 30


class AirflowError(Exception):
    """Airflow refused a request; the message has the answer."""


@dataclass
class AirflowClient:
    """A session with the api-server at `url`. `password` is the user admin's; None where everybody is an admin.

    Raises:
        AirflowError: in each method, when Airflow refuses the request.
    """

    url: str
    password: str | None = field(default=None, repr=False)
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def request(self, method: str, path: str, *, body: Any = None, absent_ok: bool = False) -> Any:
        """Send one request below /api/v2; returns the answer's JSON, None if it is empty, or is 404 and `absent_ok`.

        Raises:
            AirflowError: any other refusal.
        """
        if "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self._token()}"
        answer = self._session.request(method, f"{self.url}/api/v2{path}", json=body, timeout=_TIMEOUT)
        if absent_ok and answer.status_code == requests.codes.not_found:
            return None
        if not answer.ok:
            raise AirflowError(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def _token(self) -> str:
        address = f"{self.url}/auth/token"
        if self.password is None:
            answer = self._session.get(address, timeout=_TIMEOUT)
        else:
            login = {"username": "admin", "password": self.password}
            answer = self._session.post(address, json=login, timeout=_TIMEOUT)
        if not answer.ok:
            raise AirflowError(f"Airflow gave no token ({answer.status_code}): {answer.text[:500]}")
        return str(answer.json()["access_token"])

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """The DAG; None if no DAG processor has read it yet."""
        found: dict[str, Any] | None = self.request("GET", f"/dags/{dag_id}", absent_ok=True)
        return found

    def unpause(self, dag_id: str) -> None:
        self.request("PATCH", f"/dags/{dag_id}", body={"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, str]) -> str:
        """Trigger a run without a logical date, as a person does who names the partition; returns its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", body=body)["dag_run_id"])

    def backfill(self, dag_id: str, first: str, last: str, *, at_once: int, reprocess: str) -> None:
        """Start a backfill of the partitions from `first` to `last`, both included."""
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T23:59:59Z",
            "max_active_runs": at_once,
            "reprocess_behavior": reprocess,
        }
        # On SQLite, Airflow refuses while another process writes, and has created nothing then.
        pause, tries = Event(), 20
        while tries := tries - 1:
            try:
                self.request("POST", "/backfills", body=body)
            except AirflowError as error:
                if "Database is locked" not in str(error):
                    raise
                pause.wait(1)
            else:
                return
        self.request("POST", "/backfills", body=body)

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of the DAG, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", f"/dags/{dag_id}/dagRuns?limit=100&offset={len(found)}&order_by=-run_after")
            found += page["dag_runs"]
            if len(found) >= page["total_entries"] or not page["dag_runs"]:
                return found

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Task id -> its task instance in the run."""
        page = self.request("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances?limit=100")
        return {entry["task_id"]: entry for entry in page["task_instances"]}

    def left_behind(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """The JSON that a task returned; None if it has not returned anything."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries/return_value"
        entry = self.request("GET", path, absent_ok=True)
        if entry is None:
            return None
        value: dict[str, Any] = json.loads(entry["value"]) if isinstance(entry["value"], str) else entry["value"]
        return value
