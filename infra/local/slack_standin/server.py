"""The stand-in's server: Slack's Web API under /api/, the readers' page at /, and a switch for faults under /control/.

    python -m slack_standin.server

Reads SLACK_STANDIN_STATE (folder), SLACK_STANDIN_PORT, SLACK_STANDIN_TOKEN and SLACK_STANDIN_CHANNELS (comma-separated names).
Refuses what Slack refuses, with Slack's error names. Stricter than Slack in one place: a reply needs a root that exists.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from slack_standin.page import CONTENT_SECURITY_POLICY, render_page
from slack_standin.mrkdwn import to_plain
from slack_standin.rules import SlackError, check_message
from slack_standin.store import Message, Store, is_reply

Arguments = dict[str, Any]
Answer = dict[str, Any]

_TEAM = {"team": "Retrain (local)", "team_id": "T0RETRAIN"}
_BOT = {"user": "retrain", "user_id": "U0RETRAIN", "bot_id": "B0RETRAIN"}
_APP_NAME = "Retrain"
_APP_ID = "A0RETRAIN"
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
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


class WebApi:
    """The methods of the Web API, each a function of its arguments on the store. Refusals are SlackErrors."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self._base_url = base_url
        self.methods: Mapping[str, Callable[[Arguments], Answer]] = {
            "api.test": lambda arguments: {"args": arguments},
            "auth.test": lambda _: {"url": f"{base_url}/", **_TEAM, **_BOT, "is_enterprise_install": False},
            "chat.delete": self.delete,
            "chat.getPermalink": self.permalink,
            "chat.postMessage": self.post,
            "chat.update": self.update,
            "conversations.history": self.history,
            "conversations.info": self.channel_info,
            "conversations.list": self.channel_list,
            "conversations.replies": self.replies,
            "files.completeUploadExternal": self.complete_upload,
            "files.getUploadURLExternal": self.begin_upload,
            "files.info": self.file_info,
            "reactions.add": self.react,
        }

    def post(self, arguments: Arguments) -> Answer:
        """chat.postMessage. The channel may be an id, a name or a #name; everywhere else Slack takes the id alone."""
        channel = self._channel(arguments, by_name=True)
        text = str(arguments.get("text") or "")
        blocks, attachments, metadata = (arguments.get(name) for name in ("blocks", "attachments", "metadata"))
        check_message(text, blocks, attachments, metadata)
        message = self._message(text, arguments)
        message |= {
            name: value
            for name, value in (("blocks", blocks), ("attachments", attachments), ("metadata", metadata))
            if value
        }
        self._thread(channel, message, arguments)
        self._store.save_message(channel, message)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def update(self, arguments: Arguments) -> Answer:
        """chat.update. Parts that are not given stay as they were; an empty list removes them."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("ts"))
        changed = message | {
            name: arguments[name] for name in ("text", "blocks", "attachments", "metadata") if arguments.get(name) is not None
        }
        check_message(
            changed.get("text", ""), changed.get("blocks"), changed.get("attachments"), changed.get("metadata")
        )
        changed["edited"] = {"user": _BOT["user_id"], "ts": self._store.next_ts()}
        self._store.save_message(channel, changed)
        return {"channel": channel, "ts": changed["ts"], "text": changed.get("text", ""), "message": changed}

    def delete(self, arguments: Arguments) -> Answer:
        """chat.delete."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("ts"))
        self._store.delete_message(channel, message["ts"])
        return {"channel": channel, "ts": message["ts"]}

    def permalink(self, arguments: Arguments) -> Answer:
        """chat.getPermalink."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("message_ts"))
        link = f"{self._base_url}/archives/{channel}/p{message['ts'].replace('.', '')}"
        return {"channel": channel, "permalink": link}

    def channel_list(self, arguments: Arguments) -> Answer:
        """conversations.list."""
        channels = [_channel_object(*row) for row in self._store.channels()]
        return _page_of(channels, arguments, "channels", default_limit=100)

    def channel_info(self, arguments: Arguments) -> Answer:
        """conversations.info."""
        channel = self._channel(arguments)
        return {"channel": next(_channel_object(*row) for row in self._store.channels() if row[0] == channel)}

    def history(self, arguments: Arguments) -> Answer:
        """conversations.history: the channel's own messages, newest first."""
        channel = self._channel(arguments)
        messages = [
            message
            for message in reversed(self._store.messages(channel))
            if (not is_reply(message) or message.get("subtype") == "thread_broadcast") and _within(message, arguments)
        ]
        return _page_of(_with_metadata(messages, arguments), arguments, "messages", default_limit=100)

    def replies(self, arguments: Arguments) -> Answer:
        """conversations.replies: a thread's root and its replies, oldest first."""
        channel = self._channel(arguments)
        root = str(arguments.get("ts") or "")
        thread = [m for m in self._store.messages(channel) if root in (m["ts"], m.get("thread_ts"))]
        if not thread:
            raise SlackError("thread_not_found")
        kept = [message for message in thread if message["ts"] == root or _within(message, arguments)]
        return _page_of(_with_metadata(kept, arguments), arguments, "messages", default_limit=1000)

    def react(self, arguments: Arguments) -> Answer:
        """reactions.add."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("timestamp"))
        name = str(arguments.get("name") or "").strip(":")
        if not name:
            raise SlackError("invalid_name")
        reactions = message.setdefault("reactions", [])
        if any(reaction["name"] == name for reaction in reactions):
            raise SlackError("already_reacted")
        reactions.append({"name": name, "users": [_BOT["user_id"]], "count": 1})
        self._store.save_message(channel, message)
        return {}

    def begin_upload(self, arguments: Arguments) -> Answer:
        """files.getUploadURLExternal: hands out the address to which the content goes."""
        name = Path(str(arguments.get("filename") or "")).name
        length = str(arguments.get("length") or "")
        if not name or not length.isdecimal() or int(length) == 0:
            raise SlackError("invalid_arguments", ["[ERROR] filename and a length above 0 are required"])
        file_id, ticket = f"F{secrets.token_hex(5).upper()}", secrets.token_urlsafe(24)
        file = {
            "id": file_id,
            "name": name,
            "title": name,
            "mimetype": _PICTURES.get(Path(name).suffix.lower(), "application/octet-stream"),
            "size": int(length),
            "created": int(time.time()),
            "user": _BOT["user_id"],
            "alt_txt": str(arguments.get("alt_txt") or ""),
            "url_private": f"{self._base_url}/files/{file_id}/{name}",
        }
        self._store.save_file(file | {"ticket": ticket, "state": "awaiting content"})
        return {"upload_url": f"{self._base_url}/upload/v1/{file_id}/{ticket}", "file_id": file_id}

    def complete_upload(self, arguments: Arguments) -> Answer:
        """files.completeUploadExternal: shares uploaded files, in a channel or a thread if one is named."""
        wanted = arguments.get("files")
        if not isinstance(wanted, list) or not wanted:
            raise SlackError("invalid_arguments", ["[ERROR] files must be a list with at least 1 item"])
        files: list[Answer] = []
        for item in wanted:
            file = self._store.file(str(item.get("id")))
            if file is None or file["state"] == "awaiting content":
                raise SlackError("file_not_found")
            files.append(file | {"state": "complete", "title": str(item.get("title") or file["title"])})
        channel = None
        if arguments.get("channel_id"):
            channel = self._channel({"channel": arguments["channel_id"]})
        for file in files:
            self._store.save_file(file)
        public = [_public_file(file) for file in files]
        if channel:
            message = self._message(str(arguments.get("initial_comment") or ""), {}) | {"files": public, "upload": True}
            self._thread(channel, message, arguments)
            self._store.save_message(channel, message)
        return {"files": public}

    def file_info(self, arguments: Arguments) -> Answer:
        """files.info."""
        file = self._store.file(str(arguments.get("file") or ""))
        if file is None:
            raise SlackError("file_not_found")
        return {"file": _public_file(file)}

    def _message(self, text: str, arguments: Arguments) -> Message:
        message: Message = {
            "type": "message",
            "ts": self._store.next_ts(),
            "text": text,
            "user": _BOT["user_id"],
            "bot_id": _BOT["bot_id"],
            "app_id": _APP_ID,
            "team": _TEAM["team_id"],
            "bot_profile": {"id": _BOT["bot_id"], "app_id": _APP_ID, "name": str(arguments.get("username") or _APP_NAME)},
        }
        if arguments.get("icon_emoji"):
            message["icons"] = {"emoji": str(arguments["icon_emoji"])}
        return message

    def _thread(self, channel: str, message: Message, arguments: Arguments) -> None:
        thread_ts = arguments.get("thread_ts")
        if not thread_ts:
            return
        root = self._store.message(channel, str(thread_ts))
        if root is None:
            raise SlackError("thread_not_found")
        message["thread_ts"] = root.get("thread_ts") or root["ts"]
        if _truth(arguments.get("reply_broadcast")):
            message["subtype"] = "thread_broadcast"

    def _channel(self, arguments: Arguments, *, by_name: bool = False) -> str:
        wanted = str(arguments.get("channel") or "")
        for identifier, name, _ in self._store.channels():
            if wanted == identifier or (by_name and wanted.removeprefix("#") == name):
                return identifier
        raise SlackError("channel_not_found")

    def _existing(self, channel: str, ts: object) -> Message:
        message = self._store.message(channel, str(ts or ""))
        if message is None:
            raise SlackError("message_not_found")
        return message


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


def _truth(value: object) -> bool:
    return value is True or str(value).lower() in ("1", "true")


def _channel_object(identifier: str, name: str, created: int) -> Answer:
    return {
        "id": identifier,
        "name": name,
        "name_normalized": name,
        "created": created,
        "creator": _BOT["user_id"],
        "is_channel": True,
        "is_archived": False,
        "is_private": False,
        "is_member": True,
        "topic": {"value": ""},
        "purpose": {"value": ""},
    }


def _public_file(file: Answer) -> Answer:
    return {name: value for name, value in file.items() if name not in ("ticket", "state")}


def _within(message: Message, arguments: Arguments) -> bool:
    oldest, newest = str(arguments.get("oldest") or "0"), str(arguments.get("latest") or "")
    ts = message["ts"]
    if _truth(arguments.get("inclusive")):
        return ts >= oldest and (not newest or ts <= newest)
    return ts > oldest and (not newest or ts < newest)


def _with_metadata(messages: list[Message], arguments: Arguments) -> list[Message]:
    if _truth(arguments.get("include_all_metadata")):
        return messages
    return [{name: value for name, value in message.items() if name != "metadata"} for message in messages]


def _page_of(items: list[Any], arguments: Arguments, name: str, *, default_limit: int) -> Answer:
    try:
        limit = int(arguments.get("limit") or default_limit)
        start = int(str(arguments.get("cursor") or "0").removeprefix("at:"))
    except ValueError as error:
        raise SlackError("invalid_cursor") from error
    if not 0 < limit <= 1000:
        raise SlackError("invalid_limit")
    rest = start + limit < len(items)
    return {
        name: items[start : start + limit],
        "has_more": rest,
        "response_metadata": {"next_cursor": f"at:{start + limit}" if rest else ""},
    }


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
