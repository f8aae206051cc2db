"""The stand-in's state (channels, messages, files, the log of requests) in SQLite, so that a restart loses nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slack_standin.scopes import GRANTED

_SCHEMA = """
create table if not exists channels (id text primary key, name text not null unique, created integer not null);
create table if not exists messages (
    channel text not null, ts text not null, thread_ts text, body text not null, primary key (channel, ts)
);
create table if not exists states (channel text primary key, state text not null);
create table if not exists versions (channel text not null, ts text not null, at text not null, body text not null);
create table if not exists files (id text primary key, body text not null);
create table if not exists requests (number integer primary key, at real not null, method text not null, body text not null,
    answer text not null);
create table if not exists revision (number integer not null);
insert into revision select 0 where not exists (select 1 from revision);
"""
_FORGET = """
delete from messages; delete from versions; delete from files; delete from requests; delete from states; delete from channels;
"""
_REQUESTS_KEPT = 5_000
_SAID = ("text", "blocks", "attachments", "metadata")
# Slack's error names for a channel that exists and cannot be used; empty: it can.
CHANNEL_STATES = ("", "is_archived", "not_in_channel")

Message = dict[str, Any]


class SlackStore:
    """The stand-in's state. Not thread-safe: only the event loop of the server's single process uses it."""

    def __init__(self, folder: Path, channels: Sequence[str]) -> None:
        self.files_folder = folder / "files"
        self.files_folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "slack.db", isolation_level=None)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.executescript(_SCHEMA)
        self.clock: float | None = None  # seconds since 1970; None: the real time
        self.scopes: tuple[str, ...] = GRANTED  # those of the app's token
        self._configured = channels
        for name in channels:
            self._add_channel(name)

    def reset(self) -> None:
        """Delete everything except the configured channels."""
        self._connection.executescript(_FORGET)
        for file in self.files_folder.iterdir():
            file.unlink()
        self.clock, self.scopes = None, GRANTED
        for name in self._configured:
            self._add_channel(name)
        self._changed()

    def channels(self) -> list[tuple[str, str, int, str]]:
        """List (id, name, time of creation, state) of the channels, by name."""
        return self._connection.execute(
            "select id, name, created, coalesce(state, '') from channels left join states on id = channel order by name"
        ).fetchall()

    def set_channel(self, name: str, state: str) -> str:
        """Set a channel's state, and create the channel if it is new. Returns its id.

        Raises:
            ValueError: the state is none of CHANNEL_STATES.
        """
        if state not in CHANNEL_STATES:
            raise ValueError(f"state {state!r} is none of {CHANNEL_STATES}")
        self._add_channel(name)
        self._connection.execute("insert or replace into states values (?, ?)", (channel_id(name), state))
        self._changed()
        return channel_id(name)

    def _add_channel(self, name: str) -> None:
        self._connection.execute(
            "insert or ignore into channels values (?, ?, ?)", (channel_id(name), name, int(time.time()))
        )

    def next_ts(self) -> str:
        """A new message time: seconds with six decimals, later than all earlier ones."""
        newest = self._connection.execute("select max(ts) from (select ts from messages union select at from versions)")
        newest = newest.fetchone()[0]
        now = int((time.time() if self.clock is None else self.clock) * 1_000_000)
        if newest:
            seconds, _, fraction = newest.partition(".")
            now = max(now, int(seconds) * 1_000_000 + int(fraction) + 1)
        return f"{now // 1_000_000}.{now % 1_000_000:06d}"

    def save_message(self, channel: str, message: Message) -> None:
        """Add a message, or replace the message of the same time."""
        self._connection.execute(
            "insert or replace into messages values (?, ?, ?, ?)",
            (channel, message["ts"], message.get("thread_ts"), json.dumps(message)),
        )
        self._changed()

    def message(self, channel: str, ts: str) -> Message | None:
        """A channel's message of this time; None if there is none."""
        row = self._connection.execute(
            "select body from messages where channel = ? and ts = ?", (channel, ts)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def save_version(self, channel: str, message: Message) -> None:
        """Add or replace a message as `save_message` does, and keep this version of it."""
        at = message.get("edited", message)["ts"]
        self._connection.execute(
            "insert into versions values (?, ?, ?, ?)", (channel, message["ts"], at, json.dumps(message))
        )
        self.save_message(channel, message)

    def versions(self, channel: str) -> dict[str, list[Message]]:
        """Message time -> the message's versions, as posted, then after each update; `at` is the time of a version."""
        versions: dict[str, list[Message]] = {}
        rows = self._connection.execute("select ts, at, body from versions where channel = ? order by at", (channel,))
        for ts, at, body in rows:
            said = {name: value for name, value in json.loads(body).items() if name in _SAID}
            versions.setdefault(ts, []).append({"at": at} | said)
        return versions

    def delete_message(self, channel: str, ts: str) -> None:
        """Delete a message; its replies stay, as in Slack."""
        self._connection.execute("delete from messages where channel = ? and ts = ?", (channel, ts))
        self._changed()

    def messages(self, channel: str) -> list[Message]:
        """List the messages of a channel and their replies, oldest first; a thread's root carries its reply count."""
        rows = self._connection.execute("select body from messages where channel = ? order by ts", (channel,))
        messages: list[Message] = [json.loads(body) for (body,) in rows]
        replies: dict[str, list[str]] = {}
        for message in messages:
            if is_reply(message):
                replies.setdefault(message["thread_ts"], []).append(message["ts"])
        for message in messages:
            times = replies.get(message["ts"])
            if times:
                message |= {"thread_ts": message["ts"], "reply_count": len(times), "latest_reply": times[-1]}
        return messages

    def save_file(self, file: dict[str, Any]) -> None:
        """Add or replace a file's metadata."""
        self._connection.execute(
            "insert into files values (?, ?) on conflict (id) do update set body = excluded.body",
            (file["id"], json.dumps(file)),
        )
        self._changed()

    def file(self, file_id: str) -> dict[str, Any] | None:
        """A file's metadata, None if there is no such file. Its content is in `files_folder` under its id."""
        row = self._connection.execute("select body from files where id = ?", (file_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def files(self) -> list[dict[str, Any]]:
        """The metadata of all files, oldest first."""
        return [json.loads(body) for (body,) in self._connection.execute("select body from files order by rowid")]

    def log_request(self, method: str, body: object, answer: str) -> None:
        """Record a call of the API. `body` must not contain the token."""
        cursor = self._connection.execute(
            "insert into requests (at, method, body, answer) values (?, ?, ?, ?)",
            (time.time(), method, json.dumps(body, default=str), answer),
        )
        self._connection.execute("delete from requests where number <= ?", ((cursor.lastrowid or 0) - _REQUESTS_KEPT,))

    def requests(self) -> list[dict[str, Any]]:
        """The recorded calls, oldest first."""
        rows = self._connection.execute("select at, method, body, answer from requests order by number")
        return [
            {"at": at, "method": method, "body": json.loads(body), "answer": answer}
            for at, method, body, answer in rows
        ]

    def revision(self) -> int:
        """A number that grows with every change that a reader would see."""
        return int(self._connection.execute("select number from revision").fetchone()[0])

    def _changed(self) -> None:
        self._connection.execute("update revision set number = number + 1")


def channel_id(name: str) -> str:
    """A channel's id: formed like Slack's, and always the same for the same name."""
    return f"C{hashlib.sha256(name.encode()).hexdigest()[:10].upper()}"


def is_reply(message: Message) -> bool:
    """True for a reply in a thread; False for a thread's root and for a message without a thread."""
    return bool(message.get("thread_ts")) and message["thread_ts"] != message["ts"]
