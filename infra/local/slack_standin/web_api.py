"""The methods of Slack's Web API that the stand-in implements.

Reference: https://docs.slack.dev/reference/methods
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slack_standin.listing import LARGEST_PAGE, is_true, page_of, with_metadata, within
from slack_standin.rules import RefusedCallError, check_message, check_updated_text
from slack_standin.store import Message, SlackStore, is_reply

Arguments = dict[str, Any]
Answer = dict[str, Any]

_TEAM = {"team": "Retrain (local)", "team_id": "T0RETRAIN"}
_BOT = {"user": "retrain", "user_id": "U0RETRAIN", "bot_id": "B0RETRAIN"}
_APP_NAME = "Retrain"
_APP_ID = "A0RETRAIN"
_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_PARTS = ("text", "blocks", "attachments", "metadata")
_PICTURES_IN_BLOCKS = ("image/png", "image/jpeg", "image/gif")


class WebApi:
    """The methods, by Slack's name in `methods`. Each raises RefusedCallError where Slack would refuse the call."""

    def __init__(self, store: SlackStore, base_url: str) -> None:
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
        """chat.postMessage. The channel may be an id, a name or a #name; all other methods take only the id."""
        channel = self._channel(arguments, by_name=True)
        text = str(arguments.get("text") or "")
        blocks, attachments, metadata = (arguments.get(name) for name in ("blocks", "attachments", "metadata"))
        check_message(text, blocks, attachments, metadata, self._is_picture)
        message = self._message(text, arguments)
        message |= {
            name: value
            for name, value in (("blocks", blocks), ("attachments", attachments), ("metadata", metadata))
            if value
        }
        self._thread(channel, message, arguments)
        self._store.save_version(channel, message)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def update(self, arguments: Arguments) -> Answer:
        """chat.update. Parts that are not given stay, with one exception: a text without blocks replaces the blocks.

        An empty list, or an empty metadata object, removes that part.
        """
        channel = self._channel(arguments, archived="is_inactive")
        message = self._existing(channel, arguments.get("ts"))
        given = {name: arguments[name] for name in _PARTS if arguments.get(name) is not None}
        changed = message | given
        if "text" in given and "blocks" not in given:
            changed.pop("blocks", None)
        if changed.get("metadata") == {}:
            changed["metadata"] = None
        text, blocks, attachments, metadata = (changed.get(name) for name in _PARTS)
        check_message(str(text or ""), blocks, attachments, metadata, self._is_picture)
        check_updated_text(str(given.get("text") or ""))
        changed = {name: value for name, value in changed.items() if value or name not in _PARTS[1:]}
        if given.keys() & {"text", "blocks", "attachments"}:
            changed["edited"] = {"user": _BOT["user_id"], "ts": self._store.next_ts()}
        self._store.save_version(channel, changed)
        return {"channel": channel, "ts": changed["ts"], "text": changed.get("text", ""), "message": changed}

    def delete(self, arguments: Arguments) -> Answer:
        """chat.delete."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("ts"))
        self._store.delete_message(channel, message["ts"])
        return {"channel": channel, "ts": message["ts"]}

    def permalink(self, arguments: Arguments) -> Answer:
        """chat.getPermalink."""
        channel = self._channel(arguments, archived="", absent="")
        message = self._existing(channel, arguments.get("message_ts"))
        link = f"{self._base_url}/archives/{channel}/p{message['ts'].replace('.', '')}"
        return {"channel": channel, "permalink": link}

    def channel_list(self, arguments: Arguments) -> Answer:
        """conversations.list."""
        channels = [_channel_object(*row) for row in self._store.channels()]
        return page_of(channels, arguments, "channels", default_limit=100)

    def channel_info(self, arguments: Arguments) -> Answer:
        """conversations.info."""
        channel = self._channel(arguments, archived="", absent="")
        return {"channel": next(_channel_object(*row) for row in self._store.channels() if row[0] == channel)}

    def history(self, arguments: Arguments) -> Answer:
        """conversations.history: the channel's own messages, newest first."""
        channel = self._channel(arguments, archived="")
        messages = [
            message
            for message in reversed(self._store.messages(channel))
            if (not is_reply(message) or message.get("subtype") == "thread_broadcast") and within(message, arguments)
        ]
        return page_of(with_metadata(messages, arguments), arguments, "messages", default_limit=100)

    def replies(self, arguments: Arguments) -> Answer:
        """conversations.replies: a thread's root and its replies, oldest first."""
        channel = self._channel(arguments, archived="")
        root = str(arguments.get("ts") or "")
        thread = [m for m in self._store.messages(channel) if root in (m["ts"], m.get("thread_ts"))]
        if not thread:
            raise RefusedCallError("thread_not_found")
        kept = [message for message in thread if message["ts"] == root or within(message, arguments)]
        return page_of(with_metadata(kept, arguments), arguments, "messages", default_limit=LARGEST_PAGE)

    def react(self, arguments: Arguments) -> Answer:
        """reactions.add."""
        channel = self._channel(arguments)
        message = self._existing(channel, arguments.get("timestamp"))
        name = str(arguments.get("name") or "").strip(":")
        if not name:
            raise RefusedCallError("invalid_name")
        reactions = message.setdefault("reactions", [])
        if any(reaction["name"] == name for reaction in reactions):
            raise RefusedCallError("already_reacted")
        reactions.append({"name": name, "users": [_BOT["user_id"]], "count": 1})
        self._store.save_message(channel, message)
        return {}

    def begin_upload(self, arguments: Arguments) -> Answer:
        """files.getUploadURLExternal: returns the address to which the content is sent."""
        name = Path(str(arguments.get("filename") or "")).name
        length = str(arguments.get("length") or "")
        if not name or not length.isdecimal() or int(length) == 0:
            raise RefusedCallError("invalid_arguments", ["filename and a length above 0 are required"])
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
        """files.completeUploadExternal: shares uploaded files, in a channel or thread if the call names it."""
        wanted = arguments.get("files")
        if not isinstance(wanted, list) or not wanted or not all(isinstance(item, dict) for item in wanted):
            raise RefusedCallError("invalid_arguments", ["files must be a list with at least 1 item"])
        files: list[Answer] = []
        for item in wanted:
            file = self._store.file(str(item.get("id")))
            if file is None or file["state"] == "awaiting content":
                raise RefusedCallError("file_not_found")
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
            self._store.save_version(channel, message)
        return {"files": public}

    def file_info(self, arguments: Arguments) -> Answer:
        """files.info."""
        file = self._store.file(str(arguments.get("file") or ""))
        if file is None:
            raise RefusedCallError("file_not_found")
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
            "bot_profile": {
                "id": _BOT["bot_id"],
                "app_id": _APP_ID,
                "name": str(arguments.get("username") or _APP_NAME),
            },
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
            raise RefusedCallError("thread_not_found")
        message["thread_ts"] = root.get("thread_ts") or root["ts"]
        if is_true(arguments.get("reply_broadcast")):
            message["subtype"] = "thread_broadcast"

    def _channel(
        self,
        arguments: Arguments,
        *,
        by_name: bool = False,
        archived: str = "is_archived",
        absent: str = "not_in_channel",
    ) -> str:
        """The id of the channel that a call names; `archived` and `absent` are the method's errors for such a channel."""
        wanted = str(arguments.get("channel") or "")
        for identifier, name, _, state in self._store.channels():
            if wanted == identifier or (by_name and wanted.removeprefix("#") == name):
                refusal = {"is_archived": archived, "not_in_channel": absent}.get(state)
                if refusal:
                    raise RefusedCallError(refusal)
                return identifier
        raise RefusedCallError("channel_not_found")

    def _is_picture(self, wanted: Mapping[str, Any]) -> bool:
        """True if a block's `slack_file` names a picture whose upload is complete."""
        file_id = str(wanted.get("id") or "")
        if not file_id:
            prefix, _, rest = str(wanted.get("url")).partition("/files/")
            file_id = rest.partition("/")[0] if prefix == self._base_url else ""
        file = self._store.file(file_id)
        return file is not None and file["state"] == "complete" and file["mimetype"] in _PICTURES_IN_BLOCKS

    def _existing(self, channel: str, ts: object) -> Message:
        message = self._store.message(channel, str(ts or ""))
        if message is None:
            raise RefusedCallError("message_not_found")
        return message


def _channel_object(identifier: str, name: str, created: int, state: str) -> Answer:
    return {
        "id": identifier,
        "name": name,
        "name_normalized": name,
        "created": created,
        "creator": _BOT["user_id"],
        "is_channel": True,
        "is_archived": state == "is_archived",
        "is_private": False,
        "is_member": not state,
        "topic": {"value": ""},
        "purpose": {"value": ""},
    }


def _public_file(file: Answer) -> Answer:
    return {name: value for name, value in file.items() if name not in ("ticket", "state")}
