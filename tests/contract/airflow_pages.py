"""The pages of Airflow's REST API that the watch reads. They filter and page what a test puts in; all else is empty and healthy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_HEALTHY = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")}
_HELD_SECONDS = 60
_ENDS = {"gte": lambda value, limit: value >= limit, "lte": lambda value, limit: value <= limit}

Query = Mapping[str, list[str]]


class AirflowPages:
    """What Airflow holds, and what was asked, by path.

    `runs`, `tasks`, `backfills` and `variables` are rows as the API describes them. A row has its `dag_id`; a task's is of the run
    `dag_run_id`. `unknown` are DAGs that Airflow does not have. Times of one field are compared as text, so they have one form.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.runs: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.backfills: list[dict[str, Any]] = []
        self.variables: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.connections = 0
        self.largest_page = 100  # rows: `[api] maximum_page_limit`, by default
        self._answers: dict[str, Any] = {"/auth/token": {"access_token": "x"}, "/api/v2/monitor/health": _HEALTHY}
        self._hanging: set[str] = set()
        self._released = Event()

    def answer(self, path: str, document: object) -> None:
        """Answer that path with a document, or with 404 for None."""
        self._answers[path] = document

    def hang(self, path: str) -> None:
        """Give that path no answer."""
        self._hanging.add(path)

    def release(self) -> None:
        self._released.set()

    def of(self, path: str, query: Query, body: Mapping[str, Any]) -> object:
        """The answer to a path, or None for 404; waits where it hangs."""
        self.asked.append(path)
        if path in self._hanging:
            self._released.wait(_HELD_SECONDS)
        if path in self._answers:
            return self._answers[path]
        first, *rest = path.removeprefix("/api/v2/").split("/")
        if first == "dags":
            return self._of_dags(rest, query, body)
        if first == "backfills":
            rows = [each for each in self.backfills if each["dag_id"] == query["dag_id"][0]]
            return self._page("backfills", sorted(rows, key=lambda each: -each["id"]), query)
        return self._of_variables(rest, query) if first == "variables" else None

    def _of_dags(self, rest: list[str], query: Query, body: Mapping[str, Any]) -> object:
        match rest:
            case []:
                named = [name for name in query["dag_id_prefix_pattern"][0].split("|") if name not in self.unknown]
                return self._page("dags", [{"dag_id": name} for name in named], query)
            case [_]:
                return {"is_paused": False}
            case [dag, "dagRuns"]:
                rows = [run for run in self.runs if dag in ("~", run["dag_id"]) and _fits(run, query)]
                return self._page(
                    "dag_runs", sorted(rows, key=lambda run: str(run.get("run_after")), reverse=True), query
                )
            case ["~", "dagRuns", "~", "taskInstances", "list"]:
                chosen = {"state": body["state"], "dag_run_id": body["dag_run_ids"], "dag_id": body["dag_ids"]}
                query = {"limit": [str(body["page_limit"])], "offset": [str(body["page_offset"])]}
                return self._page("task_instances", [row for row in self.tasks if _fits(row, chosen)], query)
            case [dag, "dagRuns", run, "taskInstances"]:
                chosen = {**query, "dag_id": [dag], "dag_run_id": [run]}
                return self._page("task_instances", [row for row in self.tasks if _fits(row, chosen)], query)
        return None

    def _of_variables(self, rest: list[str], query: Query) -> object:
        if rest:
            return {"key": rest[0], "value": self.variables[rest[0]]} if rest[0] in self.variables else None
        begins = tuple(query["variable_key_prefix_pattern"][0].split("|"))
        found = [{"key": k, "value": v} for k, v in sorted(self.variables.items()) if k.startswith(begins)]
        return self._page("variables", found, query)

    def _page(self, name: str, rows: list[dict[str, Any]], query: Query) -> dict[str, Any]:
        limit, offset = (int(query.get(key, [plain])[0]) for key, plain in (("limit", "50"), ("offset", "0")))
        return {name: rows[offset : offset + min(limit, self.largest_page)], "total_entries": len(rows)}


def _fits(row: Mapping[str, Any], query: Query) -> bool:
    """True if a row is among those that a query's filters choose."""
    for name, values in query.items():
        column, _, end = name.rpartition("_")
        if end in _ENDS:
            if row.get(column) is None or not _ENDS[end](row[column], values[0]):
                return False
        elif name == "dag_id_prefix_pattern":
            if not row["dag_id"].startswith(tuple(values[0].split("|"))):
                return False
        elif name not in ("limit", "offset", "order_by") and row[name] not in values:
            return False
    return True


@contextmanager
def airflow_pages() -> Iterator[AirflowPages]:
    """The pages on a free loopback port."""
    pages = AirflowPages()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps its connections open, as Airflow does
        disable_nagle_algorithm = True

        def setup(self) -> None:
            pages.connections += 1
            super().setup()

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            found = pages.of(unquote(asked.path), parse_qs(asked.query), body)
            content = json.dumps(found).encode()
            try:
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except ConnectionError:  # it had no patience
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 - http.server calls it so

        def log_message(self, *_: object) -> None:
            """Nothing: a test reads `asked`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        pages.url = f"http://127.0.0.1:{server.server_address[1]}"
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield pages
        finally:
            pages.release()
            server.shutdown()
