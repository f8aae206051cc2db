"""The watch's own page: whether on-call can trust the silence, what is open, and the runbooks. On the loopback, if nothing else is said."""

from __future__ import annotations

import html
import json
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrain.alerts.kinds import Kind
from retrain.alerts.message import plain_text
from retrain.alerts.message.clock import shown
from retrain.alerts.watch import health
from retrain.alerts.watch.settings import RUNBOOKS

if TYPE_CHECKING:
    from retrain.alerts.watch.watch import Watch

log = logging.getLogger(__name__)

_PICTURE = re.compile(r"[A-Za-z0-9_-]+\.(?:png|jpg|svg)")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem; overflow-wrap: anywhere; color: #1d1c1d; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } img { max-width: 100%; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { border: 1px solid #ccc; padding: .3rem .5rem; text-align: left; vertical-align: top; }
pre { background: #f4f4f4; overflow-x: auto; padding: .6rem; } code { background: #f4f4f4; } pre code { background: none; }
blockquote { border-left: 4px solid #ccc; margin-left: 0; padding-left: 1rem; } li { margin: .3rem 0; } small { color: #555; }
.well { color: #1a6b35; } .unwell { color: #a3131b; }
"""


class Page:
    """The server, in a thread of the watch."""

    def __init__(self, watch: Watch, runbooks: Path = RUNBOOKS) -> None:
        self._watch = watch
        self._runbooks = runbooks
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        config = uvicorn.Config(
            self.application(),
            host=watch.settings.host,
            port=watch.settings.port,
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
        """Give the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.people),
                Route("/alive", self.alive),
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/runbooks", self.runbook_list),
                Route("/runbooks/pictures/{name}", self.picture),
                Route("/runbooks/{kind}", self.runbook),
            ],
            # A page of another site that resolves its name to the loopback gets no answer.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*self._watch.settings.allowed_hosts])],
        )

    def alive(self, _: Request) -> Response:
        """200 while the process answers: what a supervisor asks. What is not well is nothing that a restart fixes."""
        return Response("ok\n", media_type="text/plain", headers=_HEADERS)

    def health(self, _: Request) -> Response:
        """200 while messages can be delivered, 503 while they cannot.

        JSON: `well` (whether `problems` is empty), `problems` (what keeps messages from being delivered: place -> why),
        `attention` (what is worth a look and keeps none back: place -> why), `parts` (name -> `turns`, `seconds_ago`, `trouble`),
        `outbox` (`waiting`, `oldest_seconds`), `incidents_open`, `untold` (open incidents that Slack does not hold), `silences`.
        """
        watch, found = self._watch, health.of(self._watch)
        count, age = _waiting(watch)
        document: dict[str, Any] = {
            "well": not found.problems,
            "problems": found.problems,
            "attention": found.attention,
            "parts": {
                part.name: {"turns": part.turns, "seconds_ago": _rounded(part.seconds_ago), "trouble": part.trouble}
                for part in watch.parts.values()
            },
            "outbox": {"waiting": count, "oldest_seconds": round(age, 1)},
            "incidents_open": len(watch.book.open()),
            "untold": sum(not watch.told.of(known.id).ts for known in watch.book.open()),
            "silences": len(watch.configuration.silences.entries),
        }
        body = json.dumps(document, indent=1)
        return Response(body, 503 if found.problems else 200, media_type="application/json", headers=_HEADERS)

    def metrics(self, _: Request) -> Response:
        """The same for Prometheus, in its text format."""
        watch, found = self._watch, health.of(self._watch)
        values = {
            "retrain_watch_delivers": int(not found.problems),
            "retrain_watch_attention": len(found.attention),
            "retrain_watch_signals_waiting": _waiting(watch)[0],
            "retrain_incidents_open": len(watch.book.open()),
        }
        lines = [f"# TYPE {name} gauge\n{name} {value}\n" for name, value in values.items()]
        return PlainTextResponse("".join(lines), headers=_HEADERS, media_type="text/plain; version=0.0.4")

    def people(self, _: Request) -> Response:
        """The same for people."""
        watch, found = self._watch, health.of(self._watch)
        said = '<p class="well">Messages can be delivered: silence means that nothing is wrong.</p>'
        if found.problems:
            said = f'<p class="unwell">Messages cannot be delivered. Some may be missing.</p>{_why(found.problems)}'
        if found.attention:
            said += f"<p>Worth a look; no message is kept back:</p>{_why(found.attention)}"
        incidents = [*reversed(watch.book.incidents())]
        count, age = _waiting(watch)
        tops = {known.id: plain_text.to_text(watch.rendering.top(known)).split("\n", 1)[0] for known in incidents[:100]}
        today = watch.now().date()
        sections = {
            "Open": _list(
                f"{html.escape(tops.get(i.id, i.id))}<br><small>since {html.escape(shown(i.opened_at))}"
                f"{' · silenced' if watch.is_silenced(i, today) else ''}"
                f"{'' if watch.told.of(i.id).ts else ' · not in Slack'}"
                f' · <a href="/runbooks/{i.key.kind}">runbook</a></small>'
                for i in incidents
                if i.open
            ),
            "Ended": _list(
                f"{html.escape(tops[i.id])}<br><small>{html.escape(shown(i.resolved_at))}</small>"
                for i in [i for i in incidents[:100] if not i.open][:10]
            ),
            "Silences": _list(
                f"{html.escape(s.pipeline)}, {s.kind}{html.escape(f', {s.subject}' if s.subject else '')}: {html.escape(s.reason)}"
                f"<br><small>until {s.expires}{'' if s.in_force(today) else ' (not today)'}</small>"
                for s in watch.configuration.silences.entries
            ),
            "Parts": _list(
                f'<span class="{"unwell" if part.trouble else "well"}">{html.escape(part.name)}</span> '
                f"<small>{_ago(part.seconds_ago)}</small>"
                for part in watch.parts.values()
            ),
            "Signals that wait": f"<p>{count}{f', the oldest for {age:.0f} s' if count else ''}</p>",
        }
        body = said + "".join(f"<h2>{title}</h2>{content}" for title, content in sections.items())
        return _page("Alerts", f'{body}<p><a href="/runbooks">Runbooks</a></p>')

    def runbook_list(self, _: Request) -> Response:
        there = [kind for kind in Kind if (self._runbooks / f"{kind}.md").is_file()]
        return _page("Runbooks", _list(f'<a href="/runbooks/{kind}">{kind}</a>' for kind in there))

    def runbook(self, request: Request) -> Response:
        """A kind's runbook."""
        kind = request.path_params["kind"].removesuffix(".md")
        path = self._runbooks / f"{kind}.md"
        if kind not in set(Kind) or not path.is_file():
            return PlainTextResponse("There is no such runbook.", 404, headers=_HEADERS)
        body = self._markdown.render(path.read_text("utf-8"))
        # On the forge the pictures lie beside the runbook; here its address has one part more.
        return _page(kind, body.replace('src="pictures/', 'src="/runbooks/pictures/'), heading=False)

    def picture(self, request: Request) -> Response:
        """A picture of a runbook."""
        name = request.path_params["name"]
        path = self._runbooks / "pictures" / name
        if not _PICTURE.fullmatch(name) or not path.is_file():
            return PlainTextResponse("There is no such picture.", 404, headers=_HEADERS)
        return FileResponse(path, headers=_HEADERS)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:
            log.exception(
                "The page has no place at port %d: choose another with RETRAIN_ALERTS_PORT", self._server.config.port
            )


def _page(title: str, body: str, *, heading: bool = True) -> Response:
    head = f"<h1>{html.escape(title)}</h1>" if heading else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{head}{body}</body></html>",
        headers=_HEADERS,
    )


def _why(found: Mapping[str, str]) -> str:
    return _list(f"<b>{html.escape(where)}</b>: {html.escape(why)}" for where, why in found.items())


def _waiting(watch: Watch) -> tuple[int, float]:
    try:
        return watch.outbox.waiting()
    except OSError:
        return 0, 0.0  # the health says why


def _list(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{rows}</ul>" if rows else "<p>None.</p>"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _ago(seconds: float | None) -> str:
    return "not yet" if seconds is None else f"{seconds:.0f} s ago"
