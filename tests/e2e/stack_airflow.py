"""Requests to Airflow that only tests send."""

from __future__ import annotations

import json
from urllib.parse import quote

from airflow_client import AirflowClient


class StackAirflow(AirflowClient):
    """The demo's client with further requests, for the tests of a running stack."""

    def documentation(self, dag_id: str) -> str:
        """The DAG's documentation, as the UI shows it."""
        return str(self.request("GET", f"/dags/{dag_id}/details")["doc_md"])

    def clear(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """Clear a task of a run with all its downstream tasks; returns the ids of the cleared tasks."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
        }
        page = self.request("POST", f"/dags/{dag_id}/clearTaskInstances", body=body)
        return [entry["task_id"] for entry in page["task_instances"]]

    def copy_variable(self, name: str, copy: str) -> None:
        """Create the Variable `copy` with the value of `name`; nothing if both are the same."""
        if copy != name:
            value = self.request("GET", f"/variables/{name}")["value"]
            self.request("POST", "/variables", body={"key": copy, "value": value})

    def create_connection(self, connection: dict[str, str]) -> None:
        """Add a connection; its keys are those of Airflow's API."""
        self.request("POST", "/connections", body=connection)

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> str:
        """The log of one attempt, as text."""
        path = (
            f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/logs/{attempt}?full_content=true"
        )
        page = self.request("GET", path, absent_ok=True)
        return "\n".join(
            json.dumps(entry) if isinstance(entry, dict) else str(entry) for entry in (page or {}).get("content", ())
        )
