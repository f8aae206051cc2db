"""The HTTP server of the watch's page. It listens on the loopback if the settings name no other interface."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrain.alerts.watch.page.html_page import HEADERS, ICON
from retrain.alerts.watch.page.incident_page import incident_page
from retrain.alerts.watch.page.metrics import MEDIA_TYPE, WatchMetrics
from retrain.alerts.watch.page.overview import overview_page
from retrain.alerts.watch.page.reading import incident_of, overview_of, thread_of
from retrain.alerts.watch.page.runbooks import RunbookPages
from retrain.alerts.watch.page.whereabouts import signals_waiting
from retrain.alerts.watch.parts.part import Part
from retrain.alerts.watch.settings import RUNBOOKS
from retrain.alerts.watch.watch import Watch

log = logging.getLogger(__name__)


class Page:
    """The server, in a thread of its own."""

    def __init__(self, watch: Watch, runbooks: Path = RUNBOOKS) -> None:
        self._watch = watch
        self._runbooks = RunbookPages(runbooks)
        self._metrics = WatchMetrics(watch)
        settings = watch.state.settings
        config = uvicorn.Config(
            self.application(),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(2)

    def application(self) -> Starlette:
        """The ASGI application."""
        hosts = [*self._watch.state.settings.allowed_hosts]
        return Starlette(
            routes=[
                Route("/", self.people),
                Route("/icon.svg", self.icon),
                Route("/alive", self.alive),
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/incidents/{key}", self.incident),
                Route("/incidents/{key}/pictures/{name}", self.picture),
                *self._runbooks.routes(),
            ],
            # Another site cannot read the page by resolving its own name to the loopback.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        )

    def people(self, request: Request) -> Response:
        """The overview for people. It reloads itself, except with `?reload=no`."""
        return overview_page(overview_of(self._watch), reload=request.query_params.get("reload") != "no")

    def incident(self, request: Request) -> Response:
        """One incident with its thread."""
        known = incident_of(self._watch, request.path_params["key"])
        if known is None:
            said = "The watch knows no such incident. It keeps those of the last 90 days."
            return PlainTextResponse(said, 404, headers=HEADERS)
        return incident_page(thread_of(self._watch, known))

    def picture(self, request: Request) -> Response:
        """A picture of an incident's thread."""
        known, name = incident_of(self._watch, request.path_params["key"]), request.path_params["name"]
        named = {picture for entry in (known.entries if known else ()) for picture, _ in entry.pictures}
        path = self._watch.state.outbox.picture(name)
        if name not in named or not path.is_file():
            return PlainTextResponse("There is no such picture.", 404, headers=HEADERS)
        return FileResponse(path, media_type="image/png", headers=HEADERS)

    def icon(self, _: Request) -> Response:
        """The icon of the browser's tab."""
        return Response(ICON, media_type="image/svg+xml", headers=HEADERS)

    def alive(self, _: Request) -> Response:
        """200 while the process answers, for supervisors. It ignores the health: a restart does not fix what is wrong there."""
        return Response("ok\n", media_type="text/plain", headers=HEADERS)

    def health(self, _: Request) -> Response:
        """200 while messages can be delivered, 503 while they cannot.

        JSON: `well` (true if `problems` is empty), `problems` (what keeps messages from being delivered: place -> why),
        `attention` (what a person should look at although messages are delivered: place -> why), `parts` (name -> `turns`, `seconds_ago`, `trouble`),
        `outbox` (`waiting`, `oldest_seconds`), `incidents_open`, `untold` (open incidents that Slack does not hold), `silences`.
        """
        state, found = self._watch.state, self._watch.health()
        waiting = signals_waiting(self._watch)
        still_open = state.book.open()
        document: dict[str, Any] = {
            "well": not found.problems,
            "problems": found.problems,
            "attention": found.attention,
            "parts": {part.name: _described(part) for part in self._watch.parts.values()},
            "outbox": {"waiting": waiting.count, "oldest_seconds": round(waiting.oldest_seconds, 1)},
            "incidents_open": len(still_open),
            "untold": sum(not state.slack_marks.of(known.id).ts for known in still_open),
            "silences": len(state.configuration.silences.entries),
        }
        body = json.dumps(document, indent=1)
        return Response(body, 503 if found.problems else 200, media_type="application/json", headers=HEADERS)

    def metrics(self, _: Request) -> Response:
        """The same in Prometheus' text format, with counts since the start."""
        return Response(self._metrics.text(), headers=HEADERS, media_type=MEDIA_TYPE)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            port = self._server.config.port
            log.exception("The page cannot listen on port %d. Choose another one with RETRAIN_ALERTS_PORT.", port)


def _described(part: Part) -> dict[str, Any]:
    ago = part.seconds_ago
    return {"turns": part.turns, "seconds_ago": None if ago is None else round(ago, 1), "trouble": part.trouble}
