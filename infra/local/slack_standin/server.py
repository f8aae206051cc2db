"""The stand-in's server: Slack's Web API under /api/, the readers' page at /, and a switch for faults under /control/.

    python -m slack_standin.server

Reads SLACK_STANDIN_STATE (folder), SLACK_STANDIN_PORT, SLACK_STANDIN_TOKEN and SLACK_STANDIN_CHANNELS (comma-separated names).
Refuses what Slack refuses, with Slack's error names; it has no rate limit of its own. Stricter than Slack in one place: a reply needs a root that exists.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from slack_standin.mrkdwn import to_plain
from slack_standin.page import CONTENT_SECURITY_POLICY, render_page
from slack_standin.rules import SlackError
from slack_standin.store import Store, is_reply
from slack_standin.web_api import Answer, Arguments, WebApi

_HERE = Path(__file__).parent
_LONGEST_HANG = 300
_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}


@dataclass
class Fault:
    """What the next `count` calls of the API (or of one method) get instead of an answer."""

    kind: str
    count: int
    method: str = ""
    retry_after: int = 1


class Server:
    """The HTTP side: authentication, faults, the log of requests, pages and files."""

    def __init__(self, store: Store, token: str, base_url: str) -> None:
        self._store = store
        self._token = token
        self._api = WebApi(store, base_url)
        self._faults: list[Fault] = []
        self._released = asyncio.Event()

    def application(self) -> Starlette:
        """Give the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/health", self.health),
                Route("/revision", self.revision),
                Route("/messages.json", self.messages),
                Route("/page.css", self.asset),
                Route("/page.js", self.asset),
                Route("/archives/{channel}/{anchor}", self.archive),
                Route("/files/{file_id}/{name}", self.file),
                Route("/upload/v1/{file_id}/{ticket}", self.upload, methods=["POST"]),
                Route("/control/faults", self.set_fault, methods=["POST"]),
                Route("/control/faults", self.clear_faults, methods=["DELETE"]),
                Route("/control/requests", self.request_log),
                Route("/api/{method:path}", self.call, methods=["GET", "POST"]),
            ],
            # A page of another site that resolves its name to the loopback gets no answer.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        )

    async def call(self, request: Request) -> Response:
        """Answer a call of the Web API."""
        method = request.path_params["method"].strip("/")
        try:
            arguments = await _arguments(request)
        except ValueError as error:
            self._store.log_request(method, str(error), "invalid_json")
            return JSONResponse({"ok": False, "error": "invalid_json"})
        token = arguments.pop("token", None)
        fault = self._next_fault(method)
        if fault is not None:
            self._store.log_request(method, arguments, f"fault: {fault.kind}")
            return await self._faulty(fault)
        answer = self._answer(method, arguments, _bearer(request) or str(token or ""))
        self._store.log_request(method, arguments, "ok" if answer["ok"] else answer["error"])
        return JSONResponse(answer)

    def _answer(self, method: str, arguments: Arguments, token: str) -> Answer:
        if not token:
            return {"ok": False, "error": "not_authed"}
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return {"ok": False, "error": "invalid_auth"}
        handler = self._api.methods.get(method)
        if handler is None:
            return {"ok": False, "error": "unknown_method", "req_method": method}
        try:
            return {"ok": True} | handler(arguments)
        except SlackError as error:
            details = {"response_metadata": {"messages": error.messages}} if error.messages else {}
            return {"ok": False, "error": error.code} | details

    def _next_fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in ("", method):
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    async def _faulty(self, fault: Fault) -> Response:
        if fault.kind == "429":
            body = {"ok": False, "error": "ratelimited"}
            return JSONResponse(body, status_code=429, headers={"Retry-After": str(fault.retry_after)})
        if fault.kind == "hang":
            try:
                await asyncio.wait_for(self._released.wait(), _LONGEST_HANG)
            except TimeoutError:
                return PlainTextResponse("hung", status_code=504)
        return PlainTextResponse("Internal Server Error", status_code=500)

    async def set_fault(self, request: Request) -> Response:
        """Make the next calls fail: {"kind": "429" | "500" | "hang", "count": 1, "method": "", "retry_after": 1}."""
        if not self._authorized(request):
            return PlainTextResponse("needs the bearer token", status_code=403)
        wanted = await request.json()
        fault = Fault(
            str(wanted.get("kind")),
            int(wanted.get("count", 1)),
            str(wanted.get("method", "")),
            int(wanted.get("retry_after", 1)),
        )
        if fault.kind not in ("429", "500", "hang"):
            return PlainTextResponse(f"kind {fault.kind!r} is none of 429, 500, hang", status_code=400)
        self._released.clear()
        self._faults.append(fault)
        return JSONResponse({"ok": True})

    async def clear_faults(self, request: Request) -> Response:
        """End all faults; calls that hang answer 500."""
        if not self._authorized(request):
            return PlainTextResponse("needs the bearer token", status_code=403)
        self._faults.clear()
        self._released.set()
        return JSONResponse({"ok": True})

    async def request_log(self, request: Request) -> Response:
        """Give the recorded calls: time, method, arguments, answer."""
        if not self._authorized(request):
            return PlainTextResponse("needs the bearer token", status_code=403)
        return JSONResponse(self._store.requests())

    async def upload(self, request: Request) -> Response:
        """Take the content of a file, raw or as a form, at the address that files.getUploadURLExternal gave."""
        file = self._store.file(request.path_params["file_id"])
        if file is None or not hmac.compare_digest(file["ticket"], request.path_params["ticket"]):
            return PlainTextResponse("no such upload", status_code=404)
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
        return PlainTextResponse(f"OK - {len(content)}")

    async def file(self, request: Request) -> Response:
        """Give an uploaded file: pictures to look at, everything else as a download."""
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
        messages = self._store.messages(chosen[0])
        names = [name for _, name, _ in channels]
        return HTMLResponse(render_page(chosen[1], names, messages, self._store.revision()), headers=_HEADERS)

    async def archive(self, request: Request) -> Response:
        """Follow a permalink to its place on the page."""
        channel, anchor = request.path_params["channel"], request.path_params["anchor"]
        if not channel.isalnum() or not anchor.isalnum():
            return PlainTextResponse("no such message", status_code=404)
        return RedirectResponse(f"/?channel={channel}#{anchor}")

    async def messages(self, _: Request) -> Response:
        """Give all channels with their messages, oldest first, replies under their roots: for tools and tests."""
        channels = []
        for identifier, name, _created in self._store.channels():
            messages = self._store.messages(identifier)
            roots = [
                message
                | {
                    "notification": to_plain(message.get("text", "")),
                    "replies": [m for m in messages if is_reply(m) and m["thread_ts"] == message["ts"]],
                }
                for message in messages
                if not is_reply(message)
            ]
            channels.append({"id": identifier, "name": name, "messages": roots})
        return JSONResponse({"channels": channels})

    async def revision(self, _: Request) -> Response:
        """Give a number that changes when the page does."""
        return PlainTextResponse(str(self._store.revision()))

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    async def asset(self, request: Request) -> Response:
        """Give the page's style sheet and script."""
        return FileResponse(_HERE / Path(request.url.path).name, headers=_HEADERS)

    def _authorized(self, request: Request) -> bool:
        return hmac.compare_digest(_bearer(request).encode(), self._token.encode())


async def _arguments(request: Request) -> Arguments:
    """Read a call's arguments from the query, a form or JSON. Structures in a form are JSON text."""
    arguments: Arguments = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        body = json.loads(await request.body() or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the body is no JSON object")
        return arguments | body
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        arguments |= dict(await request.form())
    for name in ("blocks", "attachments", "metadata", "files"):
        if isinstance(arguments.get(name), str):
            try:
                arguments[name] = json.loads(arguments[name])
            except ValueError:
                # Slack's own check then refuses the part by its name.
                continue
    return arguments


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def main() -> int:
    """Serve until told to stop."""
    try:
        folder, port = Path(os.environ["SLACK_STANDIN_STATE"]), int(os.environ["SLACK_STANDIN_PORT"])
        token, channels = os.environ["SLACK_STANDIN_TOKEN"], os.environ["SLACK_STANDIN_CHANNELS"].split(",")
    except (KeyError, ValueError) as error:
        print(f"The Slack stand-in needs its four SLACK_STANDIN_ variables: {error}", file=sys.stderr)
        return 2
    server = Server(Store(folder, channels), token, f"http://127.0.0.1:{port}")
    # A client that hangs on purpose must not hold up the stop.
    uvicorn.run(server.application(), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
