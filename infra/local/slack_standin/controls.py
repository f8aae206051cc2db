"""The stand-in's own controls, under /control/, with the bot's token as bearer and JSON as body.

| Call | Does |
| --- | --- |
| `GET messages` | all channels, oldest message first: replies under their roots, `versions` (as posted, after each update), `pings`; and files |
| `GET requests` | the calls so far: time, method, arguments, answer |
| `POST faults`, `GET faults`, `DELETE faults` | add a fault (its parts: `faults.SlackFault`), list those that wait, end all |
| `POST channels` | `{"name": "x", "state": "is_archived"}`, or `not_in_channel`, or `""`; a new name makes a channel |
| `POST clock` | `{"at": 1584425760}` is the time of later posts, `{"at": null}` lets the clock run again |
| `POST scopes` | `{"scopes": ["chat:write"]}` are those of the token from now on |
| `POST reset` | forget all messages, files, requests, faults; the configured channels, the true time, the scopes that the watch uses |
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from slack_standin.call_arguments import bearer
from slack_standin.faults import FaultError, Faults, SlackFault
from slack_standin.overview import channels_with_messages
from slack_standin.store import SlackStore

Endpoint = Callable[["Controls", Request], Awaitable[Response]]


def _with_token(endpoint: Endpoint) -> Endpoint:
    """Require the bearer token. A page of another site can make a browser post here, but it cannot add the token."""

    @wraps(endpoint)
    async def guarded(controls: Controls, request: Request) -> Response:
        if not hmac.compare_digest(bearer(request).encode(), controls.token.encode()):
            return PlainTextResponse("needs the bearer token", status_code=403)
        try:
            return await endpoint(controls, request)
        except (FaultError, ValueError, KeyError, TypeError) as error:
            return PlainTextResponse(f"{type(error).__name__}: {error}", status_code=400)

    return guarded


class Controls:
    """The endpoints under /control/."""

    def __init__(self, store: SlackStore, faults: Faults, token: str) -> None:
        self._store = store
        self._faults = faults
        self.token = token

    def routes(self) -> list[Route]:
        return [
            Route("/control/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/control/channels", self.set_channel, methods=["POST"]),
            Route("/control/clock", self.set_clock, methods=["POST"]),
            Route("/control/scopes", self.set_scopes, methods=["POST"]),
            Route("/control/messages", self.everything),
            Route("/control/requests", self.request_log),
            Route("/control/reset", self.reset, methods=["POST"]),
        ]

    @_with_token
    async def faults(self, request: Request) -> Response:
        """Add a fault (POST), end all (DELETE) or none (GET); answer with those that wait."""
        if request.method == "POST":
            self._faults.add(SlackFault.read(await request.json()))
        elif request.method == "DELETE":
            self._faults.clear()
        return JSONResponse({"ok": True, "faults": self._faults.waiting()})

    @_with_token
    async def set_channel(self, request: Request) -> Response:
        """Set a channel's state: archived, without the bot, or usable; a new name makes a channel."""
        wanted = await request.json()
        return JSONResponse({"ok": True, "channel": self._store.set_channel(wanted["name"], wanted.get("state", ""))})

    @_with_token
    async def set_clock(self, request: Request) -> Response:
        """Stop the clock at a time for later posts, or let it run again."""
        at = (await request.json())["at"]
        self._store.clock = None if at is None else float(at)
        return JSONResponse({"ok": True})

    @_with_token
    async def set_scopes(self, request: Request) -> Response:
        """Replace the scopes of the token."""
        self._store.scopes = tuple(str(scope) for scope in (await request.json())["scopes"])
        return JSONResponse({"ok": True})

    @_with_token
    async def reset(self, _: Request) -> Response:
        """Forget all messages, files, requests and faults."""
        self._faults.clear()
        self._store.reset()
        return JSONResponse({"ok": True})

    @_with_token
    async def request_log(self, _: Request) -> Response:
        """List the recorded calls: time, method, arguments, answer."""
        return JSONResponse(self._store.requests())

    @_with_token
    async def everything(self, _: Request) -> Response:
        """List all channels with their messages, and all files."""
        return JSONResponse({"channels": channels_with_messages(self._store), "files": self._store.files()})
