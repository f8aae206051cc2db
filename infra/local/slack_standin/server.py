"""The stand-in's HTTP server: Slack's Web API under /api/, webhooks under /services/, the readers' page at /, controls under /control/.

    python -m slack_standin.server

Reads SLACK_STANDIN_STATE (folder), SLACK_STANDIN_PORT, SLACK_STANDIN_TOKEN and SLACK_STANDIN_CHANNELS (comma-separated names).
It listens on the loopback interface. In a container, SLACK_STANDIN_HOST is the name by which other containers reach it; with
that it listens on every interface.
It refuses the calls that Slack refuses, with Slack's error names, and has no rate limit of its own. In one place it is stricter:
a reply needs a root message that exists.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from slack_standin.call_arguments import bearer, call_arguments
from slack_standin.controls import Controls
from slack_standin.faults import UPLOAD, WEBHOOK, Faults
from slack_standin.overview import channels_with_messages
from slack_standin.page import CONTENT_SECURITY_POLICY, render_page, render_thread
from slack_standin.rules import RefusedCallError
from slack_standin.scopes import MissingScopeError, check_scopes
from slack_standin.store import SlackStore
from slack_standin.web_api import Answer, Arguments, WebApi
from slack_standin.webhooks import webhook_answer, webhook_arguments, webhook_error

_HERE = Path(__file__).parent
_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}


class StandinServer:
    """The endpoints, apart from the controls. One event loop serves them all."""

    def __init__(self, store: SlackStore, token: str, base_url: str) -> None:
        self._store = store
        self.token = token
        self._api = WebApi(store, base_url)
        self._faults = Faults()
        self._controls = Controls(store, self._faults, token)
        self._hosts = {"127.0.0.1", "localhost", urlsplit(base_url).hostname or ""} - {""}

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/thread", self.thread),
                Route("/health", self.health),
                Route("/revision", self.revision),
                Route("/messages.json", self.messages),
                Route("/page.css", self.asset),
                Route("/page.js", self.asset),
                Route("/archives/{channel}/{anchor}", self.archive),
                Route("/files/{file_id}/{name}", self.file),
                Route("/upload/v1/{file_id}/{ticket}", self.upload, methods=["POST"]),
                *self._controls.routes(),
                Route("/api/{method:path}", self.call, methods=["GET", "POST"]),
                Route("/services/{team}/{app}/{token}", self.webhook, methods=["POST"]),
            ],
            # Another site could let its own name resolve to the loopback address: such a request gets no answer.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*self._hosts])],
        )

    async def call(self, request: Request) -> Response:
        """Answer a call of the Web API."""
        method = request.path_params["method"].strip("/")
        try:
            arguments = await call_arguments(request)
        except ValueError as error:
            self._store.log_request(method, str(error), "invalid_json")
            return JSONResponse({"ok": False, "error": "invalid_json"})
        token = arguments.pop("token", None)
        token = bearer(request) or str(token or "")
        fault = self._faults.take(method)
        if fault is None:
            answer = self._answer(method, arguments, token, self._store.scopes)
            self._store.log_request(method, arguments, "ok" if answer["ok"] else answer["error"])
            known = answer.get("error") not in ("not_authed", "invalid_auth")
            return JSONResponse(answer, headers={"x-oauth-scopes": ",".join(self._store.scopes)} if known else None)
        if fault.accept:
            self._answer(method, arguments, token, self._store.scopes)
        self._store.log_request(method, arguments, f"fault: {fault.kind}{', accepted' if fault.accept else ''}")
        return await self._faults.answer(fault, request)

    def _answer(self, method: str, arguments: Arguments, token: str, scopes: Collection[str] | None = None) -> Answer:
        if not token:
            return {"ok": False, "error": "not_authed"}
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return {"ok": False, "error": "invalid_auth"}
        handler = self._api.methods.get(method)
        if handler is None:
            return {"ok": False, "error": "unknown_method", "req_method": method}
        try:
            if scopes is not None:
                check_scopes(method, arguments, scopes)
            return {"ok": True} | handler(arguments)
        except RefusedCallError as error:
            return {"ok": False, "error": error.code} | _details(error)

    async def webhook(self, request: Request) -> Response:
        """Post a message through an incoming webhook: its secret is in the address, its channel is the first one.

        Slack answers webhooks in plain text, with other words than its Web API:
        https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
        """
        if not hmac.compare_digest(request.path_params["token"].encode(), self.token.encode()):
            return PlainTextResponse("invalid_token", 403)
        fault = self._faults.take(WEBHOOK)
        if fault is not None and not fault.accept:
            self._store.log_request(WEBHOOK, {}, f"fault: {fault.kind}")
            return await self._faults.answer(fault, request)
        try:
            arguments = await webhook_arguments(request)
        except ValueError as error:
            self._store.log_request(WEBHOOK, str(error), "invalid_payload")
            return PlainTextResponse("invalid_payload", 400)
        said = webhook_error(arguments)
        if not said:
            channel = self._store.channels()[0][0]
            answer = self._answer("chat.postMessage", arguments | {"channel": channel}, self.token)
            said = "ok" if answer["ok"] else str(answer["error"])
        self._store.log_request(WEBHOOK, arguments, said)
        return PlainTextResponse(*webhook_answer(said))

    async def upload(self, request: Request) -> Response:
        """Store the content of a file, sent raw or as a form to the address from files.getUploadURLExternal."""
        file = self._store.file(request.path_params["file_id"])
        if file is None or not hmac.compare_digest(file["ticket"], request.path_params["ticket"]):
            return PlainTextResponse("no such upload", status_code=404)
        fault = self._faults.take(UPLOAD)
        if fault is not None and not fault.accept:
            return await self._faults.answer(fault, request)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            form = await request.form()
            parts = [value for value in form.values() if not isinstance(value, str)]
            content = await parts[0].read() if parts else b""
        else:
            content = await request.body()
        if len(content) != file["size"]:
            return PlainTextResponse(f"expected {file['size']} bytes, got {len(content)}", status_code=400)
        (self._store.files_folder / file["id"]).write_bytes(content)
        self._store.save_file(file | {"state": "uploaded"})
        return await self._faults.answer(fault, request) if fault else PlainTextResponse(f"OK - {len(content)}")

    async def file(self, request: Request) -> Response:
        """An uploaded file: a picture is displayed, any other file is downloaded."""
        file = self._store.file(request.path_params["file_id"])
        if file is None or file["state"] == "awaiting content":
            return PlainTextResponse("no such file", status_code=404)
        picture = file["mimetype"].startswith("image/")
        return FileResponse(
            self._store.files_folder / file["id"],
            media_type=file["mimetype"],
            filename=file["name"],
            content_disposition_type="inline" if picture else "attachment",
            headers=_HEADERS,
        )

    async def page(self, request: Request) -> Response:
        """Show a channel as its readers see it."""
        channels = self._store.channels()
        wanted = request.query_params.get("channel") or (channels[0][1] if channels else "")
        chosen = next((row for row in channels if wanted in row[:2]), None)
        if chosen is None:
            return PlainTextResponse(f"There is no channel {wanted!r}.", status_code=404)
        messages, versions = self._store.messages(chosen[0]), self._store.versions(chosen[0])
        names = [row[1] for row in channels]
        page = render_page(chosen[1], names, messages, versions, self._store.revision())
        return HTMLResponse(page, headers=_HEADERS)

    async def thread(self, request: Request) -> Response:
        """Show one message with its thread: `?ts=TIME`, or the newest whose metadata has `?NAME=VALUE` in its payload."""
        for identifier, channel, *_ in self._store.channels():
            messages = self._store.messages(identifier)
            for found in reversed(messages):
                payload = (found.get("metadata") or {}).get("event_payload", {})
                known = {name: str(value) for name, value in payload.items()} | {"ts": found["ts"]}
                if request.query_params and request.query_params.items() <= known.items():
                    thread = [
                        m for m in messages if found.get("thread_ts", found["ts"]) in (m["ts"], m.get("thread_ts"))
                    ]
                    page = render_thread(channel, thread[0], thread[1:], self._store.versions(identifier))
                    return HTMLResponse(page, headers=_HEADERS)
        return PlainTextResponse(f"There is no message with {request.url.query!r}.", status_code=404)

    async def archive(self, request: Request) -> Response:
        """Follow a permalink to its place on the page."""
        channel, anchor = request.path_params["channel"], request.path_params["anchor"]
        if not channel.isalnum() or not anchor.isalnum():
            return PlainTextResponse("no such message", status_code=404)
        return RedirectResponse(f"/?channel={channel}#{anchor}")

    async def messages(self, _: Request) -> Response:
        """All channels with their messages, oldest first, replies under their roots."""
        return JSONResponse({"channels": channels_with_messages(self._store)})

    async def revision(self, _: Request) -> Response:
        """A number that changes whenever the page does."""
        return PlainTextResponse(str(self._store.revision()))

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def asset(self, request: Request) -> Response:
        """The page's style sheet or script."""
        return FileResponse(_HERE / Path(request.url.path).name, headers=_HEADERS)


def _details(error: RefusedCallError) -> Answer:
    """The parts of Slack's answer that explain its error."""
    if isinstance(error, MissingScopeError):
        return error.answer
    if not error.messages:
        return {}
    metadata = {"messages": [f"[ERROR] {message}" for message in error.messages]}
    return {"errors": error.messages, "response_metadata": metadata}


def main() -> int:
    """Serve until stopped by a signal. Exit code 2: a variable is missing or not valid."""
    try:
        folder, port = Path(os.environ["SLACK_STANDIN_STATE"]), int(os.environ["SLACK_STANDIN_PORT"])
        token, channels = os.environ["SLACK_STANDIN_TOKEN"], os.environ["SLACK_STANDIN_CHANNELS"].split(",")
    except (KeyError, ValueError) as error:
        print(f"The Slack stand-in needs its four SLACK_STANDIN_ variables: {error}", file=sys.stderr)
        return 2
    name = os.environ.get("SLACK_STANDIN_HOST")
    server = StandinServer(SlackStore(folder, channels), token, f"http://{name or '127.0.0.1'}:{port}")
    uvicorn.run(
        server.application(),
        host="0.0.0.0" if name else "127.0.0.1",  # noqa: S104 - inside its container, which decides what it publishes
        port=port,
        log_level="warning",
        http=_connection,
        timeout_graceful_shutdown=1,  # a call that hangs on purpose must not hold up the stop
    )
    return 0


def _connection(**parts: Any) -> asyncio.Protocol:
    """Uvicorn's protocol of one connection, stored in the request's state so that a fault can end the connection."""
    protocol: asyncio.Protocol = H11Protocol(**parts | {"app_state": (state := dict(parts["app_state"]))})
    state["connection"] = protocol
    return protocol


if __name__ == "__main__":
    sys.exit(main())
