"""Airflow's REST API, as the commands and the watch use it from outside Airflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from retrain.errors import AirflowApiError, AirflowUnreachableError
from retrain.run.release import Pin, variable

_TIMEOUT = 30.0  # seconds, for each step of a request: to connect, to send, to read
_HEALTH_TIMEOUT = 10.0
# Shorter than the 5 seconds after which uvicorn closes an idle connection, so that no request meets one that is closing.
_IDLE = 2.0
_PAGE = 100  # rows: Airflow's default for [api] maximum_page_limit; where that is smaller, pages are smaller
_MOST_PAGES = 100  # of one listing
_TASKS = "/api/v2/dags/~/dagRuns/~/taskInstances/list"


@dataclass
class AirflowApi:
    """The api-server at `url`. It may be used by several threads.

    The token is AIRFLOW_API_TOKEN, or is requested with the user AIRFLOW_API_USER and the password in the file
    AIRFLOW_API_PASSWORD_FILE; a local stack, where everybody is an admin, gives one without a password. It is kept until
    Airflow refuses it.

    Raises:
        AirflowUnreachableError: every method, if Airflow does not answer in time.
        AirflowApiError: every method, if Airflow gives no token or answers with an error.
    """

    url: str
    _token: str | None = field(default=None, repr=False)

    @cached_property
    def _client(self) -> httpx.Client:
        """Opened by the first request: a wrong address must fail that request, not the start of the observer."""
        # No cookie is kept: Airflow, or a proxy before it, would take one for a session beside the token.
        none = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        limits = httpx.Limits(keepalive_expiry=_IDLE)
        return httpx.Client(base_url=self.url, timeout=_TIMEOUT, limits=limits, cookies=none)

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            kept = self._token
            self._token = kept or os.environ.get("AIRFLOW_API_TOKEN") or self._new_token()
            answer = self._sent(method, path, body)
            if answer.status_code == httpx.codes.UNAUTHORIZED and kept:
                self._token = os.environ.get("AIRFLOW_API_TOKEN") or self._new_token()
                answer = self._sent(method, path, body)
            return answer
        except httpx.HTTPError as error:
            raise AirflowUnreachableError(
                f"Airflow at {self.url} did not answer ({error}). Is it up? Locally: make up"
            ) from error

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        return self._client.request(method, path, json=body, headers={"Authorization": f"Bearer {self._token}"})

    def _new_token(self) -> str:
        user, file = os.environ.get("AIRFLOW_API_USER"), os.environ.get("AIRFLOW_API_PASSWORD_FILE")
        if user and file:
            try:
                password = Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise AirflowApiError(
                    f"The password of {user} cannot be read: {error}. Correct AIRFLOW_API_PASSWORD_FILE, which names the file."
                ) from error
            answer = self._client.post("/auth/token", json={"username": user, "password": password})
        else:
            answer = self._client.get("/auth/token")
        if answer.status_code not in (200, 201):
            raise AirflowApiError(
                f"Airflow at {self.url} gave no token ({answer.status_code}). Set AIRFLOW_API_TOKEN, or AIRFLOW_API_USER "
                "and AIRFLOW_API_PASSWORD_FILE."
            )
        return str(answer.json()["access_token"])

    def _checked(self, answer: httpx.Response, action: str) -> httpx.Response:
        if answer.is_error:
            raise AirflowApiError(f"Airflow answered {answer.status_code} to {action}: {answer.text[:300]}")
        return answer

    def pin(self, pipeline: str) -> Pin | None:
        """The pin of a pipeline; None if none is set.

        Raises:
            NoPinError: the Variable cannot be read as a pin.
        """
        name = variable(pipeline)
        answer = self._request("GET", f"/api/v2/variables/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        text = self._checked(answer, f"reading the Variable {name}").json()["value"]
        return Pin.from_json(text, name)

    def health(self) -> dict[str, Any]:
        """The state of Airflow's components by name, as Airflow reports it. Needs no token."""
        try:
            answer = self._client.get("/api/v2/monitor/health", timeout=_HEALTH_TIMEOUT)
        except httpx.HTTPError as error:
            raise AirflowUnreachableError(f"Airflow at {self.url} did not answer ({error}).") from error
        health: dict[str, Any] = self._checked(answer, "reading its health").json()
        return health

    def import_errors(self) -> dict[str, str]:
        """The DAG files that Airflow cannot import, each with the last line of its error."""
        found = self._pages("importErrors", "import_errors", {})
        return {str(each["filename"]): str(each["stack_trace"]).strip().splitlines()[-1] for each in found}

    def is_paused(self, dag: str) -> bool:
        """True if the DAG is paused."""
        return bool(self._get(f"/api/v2/dags/{dag}", "reading the DAG")["is_paused"])

    def backfills(self, dag: str, newest: int = 5) -> list[dict[str, Any]]:
        """The newest backfills of a DAG, newest first."""
        path = f"/api/v2/backfills?dag_id={dag}&order_by=-id&limit={newest}"
        found: list[dict[str, Any]] = self._get(path, "listing the backfills")["backfills"]
        return found

    def runs(self, dag: str, limit: int = _PAGE, **filters: str) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first. `filters` are those of Airflow's API, such as `state`."""
        query = urlencode({"limit": limit, "order_by": "-run_after", **filters})
        found: list[dict[str, Any]] = self._get(f"/api/v2/dags/{dag}/dagRuns?{query}", "listing the runs")["dag_runs"]
        return found

    def run_count(self, dag: str, states: Sequence[str], **filters: str) -> int:
        """The number of a DAG's runs in these states. One request, however many runs there are."""
        query = urlencode({"limit": 1, "state": states, **filters}, doseq=True)
        return int(self._get(f"/api/v2/dags/{dag}/dagRuns?{query}", "counting the runs")["total_entries"])

    def runs_of(self, dags: Sequence[str], **filters: str) -> list[dict[str, Any]]:
        """The runs of several DAGs, newest first, each with its `dag_id`. One request for a hundred runs of all DAGs together."""
        chosen = {"dag_id_prefix_pattern": "|".join(dags), "order_by": "-run_after", **filters}
        return [run for run in self._pages("dags/~/dagRuns", "dag_runs", chosen) if run["dag_id"] in dags]

    def known_dags(self, dags: Sequence[str]) -> set[str]:
        """Those of these DAGs that Airflow knows. One request for a hundred DAGs."""
        chosen = {"dag_id_prefix_pattern": "|".join(dags), "order_by": "dag_id"}
        return {dag["dag_id"] for dag in self._pages("dags", "dags", chosen)} & set(dags)

    def pin_texts(self, pipelines: Sequence[str]) -> dict[str, str]:
        """The text of each pipeline's pin, for `Pin.from_json`, by pipeline; without those that have none. One request for all."""
        names = {variable(pipeline): pipeline for pipeline in pipelines}
        chosen = {"variable_key_prefix_pattern": "|".join(names), "order_by": "key"}
        found = self._pages("variables", "variables", chosen)
        return {names[each["key"]]: str(each["value"]) for each in found if each["key"] in names}

    def failed_tasks(self, dag: str, runs: Sequence[str]) -> list[dict[str, Any]]:
        """The failed task instances of these runs, each with its `dag_run_id`. One request for a hundred runs."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(runs), _PAGE):
            body: dict[str, Any] = {
                "dag_ids": [dag],
                "dag_run_ids": list(runs[start : start + _PAGE]),
                "state": ["failed"],
                "order_by": "id",
                "page_limit": _PAGE,
            }

            def page(offset: int, asked: Mapping[str, Any] = body) -> dict[str, Any]:
                answer = self._request("POST", _TASKS, {**asked, "page_offset": offset})
                document: dict[str, Any] = self._checked(answer, "listing the failed tasks").json()
                return document

            found += _rows("task_instances", page)
        return found

    def _pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The rows of all pages of a listing."""

        def page(offset: int) -> dict[str, Any]:
            asked = urlencode({**query, "limit": _PAGE, "offset": offset})
            return self._get(f"/api/v2/{path}?{asked}", f"listing {path}")

        return _rows(name, page)

    def _get(self, path: str, action: str) -> dict[str, Any]:
        document: dict[str, Any] = self._checked(self._request("GET", path), action).json()
        return document

    def set_pin(self, pipeline: str, pin: Pin) -> None:
        """Write the pin. This deploys the release."""
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


def _rows(name: str, page: Callable[[int], Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of all pages of a listing. `page` asks for the page that begins at an offset; its rows have this name."""
    read = 0
    for _ in range(_MOST_PAGES):
        answer = page(read)
        yield from answer[name]
        read += len(answer[name])
        if not answer[name] or read >= answer["total_entries"]:
            return
