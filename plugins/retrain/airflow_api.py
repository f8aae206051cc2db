"""Airflow's REST API, for the commands that people run outside Airflow: the pin is a Variable there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import httpx

from retrain.errors import AirflowApiError
from retrain.release import Pin, variable

_TIMEOUT = 30.0


@dataclass(frozen=True)
class AirflowApi:
    """The api-server at `url`. The token comes from AIRFLOW_API_TOKEN; a local stack, where all are admins, hands one out."""

    url: str

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            token = os.environ.get("AIRFLOW_API_TOKEN") or self._local_token()
            return httpx.request(
                method, f"{self.url}{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT
            )
        except httpx.HTTPError as error:
            raise AirflowApiError(
                f"Airflow at {self.url} did not answer ({error}). Is it up? Locally: make up"
            ) from error

    def _local_token(self) -> str:
        answer = httpx.get(f"{self.url}/auth/token", timeout=_TIMEOUT)
        if answer.status_code not in (200, 201):
            raise AirflowApiError(f"Airflow at {self.url} gave no token ({answer.status_code}). Set AIRFLOW_API_TOKEN.")
        return str(answer.json()["access_token"])

    def _checked(self, answer: httpx.Response, action: str) -> httpx.Response:
        if answer.is_error:
            raise AirflowApiError(f"Airflow answered {answer.status_code} to {action}: {answer.text[:300]}")
        return answer

    def pin(self, pipeline: str) -> Pin | None:
        """The pin of a pipeline; None when none is set."""
        name = variable(pipeline)
        answer = self._request("GET", f"/api/v2/variables/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        text = self._checked(answer, f"reading the Variable {name}").json()["value"]
        return Pin.from_json(text, name)

    def set_pin(self, pipeline: str, pin: Pin) -> None:
        """Write the pin; this is the deploy."""
        name = variable(pipeline)
        body = {
            "key": name,
            "value": pin.to_json(),
            "description": f"The live release of {pipeline}: make release, make rollback",
        }
        answer = self._request("PATCH", f"/api/v2/variables/{name}", body)
        if answer.status_code == httpx.codes.NOT_FOUND:
            answer = self._request("POST", "/api/v2/variables", body)
        self._checked(answer, f"writing the Variable {name}")
