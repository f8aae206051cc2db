"""The channel beside Slack (mail, Teams, anything that apprise knows), which still delivers when Slack itself is down.

It gets the opening and the end of each incident in plain text, and nothing in between. Where an answer is lost a message is sent
again: twice is better than not at all.
"""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrain.alerts.errors import SecondChannelError
from retrain.alerts.message.plain_text import Content, to_text
from retrain.alerts.watch.marks import Marks
from retrain.alerts.watch.pause import Pause, pause_after
from retrain.alerts.watch.tally import Tally

log = logging.getLogger(__name__)
# apprise logs addresses, which hold passwords.
logging.getLogger("apprise").setLevel(logging.ERROR)

OPENED = "opened"
RESOLVED = "resolved"
_SINCE = "addresses"  # the id of the mark that says since when each address is known
_LAST = "last deliveries"  # the id of the mark that says when each address last took a message
_TITLE = 120
_LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class SecondChannelAddresses:
    """apprise's URLs: either in a private file, one per line, or separated by blanks."""

    urls: str = field(default="", repr=False)
    file: Path | None = None

    def read(self) -> list[str]:
        """The URLs.

        Raises:
            SecondChannelError: the file cannot be read, or other users may read it: its lines hold passwords.
        """
        if self.file is None:
            return self.urls.split()
        try:
            if stat.S_IMODE(self.file.stat().st_mode) & 0o077:
                raise SecondChannelError(
                    f"{self.file} holds passwords and others may read it: it is not used. chmod 600 {self.file}"
                )
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SecondChannelError(f"The second channel's addresses cannot be read: {error}") from error
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


@dataclass(frozen=True)
class SecondChannelMark:
    """What each address has got of one incident: `opened` or `resolved`, by the hash of the address. Stored as JSON."""

    id: str
    by: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Announcement:
    """An incident, as the second channel sends it. `message` renders it when it is needed."""

    id: str
    opened_at: str
    open: bool
    silenced: bool
    message: Callable[[], Content]


@dataclass
class SecondChannel:
    """Sends each address what it has not got yet. Not thread-safe: used by the part `second channel` only."""

    addresses: SecondChannelAddresses
    marks: Marks[SecondChannelMark]
    patience: float = 15.0  # seconds until a failed address is tried again; doubled by each failure, up to 5 minutes
    troubles: dict[str, str] = field(default_factory=dict)
    delivers: bool = False  # True if an address took everything in the newest run
    known: dict[str, str] = field(default_factory=dict)  # the addresses of the newest run: label -> hash of the address
    tally: Tally = field(default_factory=Tally)
    _pauses: dict[str, Pause] = field(default_factory=dict)

    def run(self, announcements: Iterable[Announcement], now: str) -> int:
        """Send what is missing. Returns the number of messages that were taken; `troubles` says why others were not.

        `now` is UTC, ISO 8601.
        """
        wanted, taken = list(announcements), 0
        try:
            urls = self.addresses.read()
        except SecondChannelError as error:
            self.troubles, self.delivers, self.known = {"configuration": str(error)}, False, {}
            return 0
        troubles: dict[str, str] = {}
        known: dict[str, str] = {}
        for number, url in enumerate(urls, start=1):
            label, key = f"address {number}", hashlib.sha256(url.encode()).hexdigest()[:12]
            known[label] = key
            pause = self._pauses.get(key)
            if pause is not None and not pause.over:
                troubles[label] = self.troubles.get(label, "waits")
                continue
            try:
                taken += self._announce(url, key, label, wanted, now)
                self._pauses.pop(key, None)
            except SecondChannelError as error:
                troubles[label] = str(error)
                self.tally.failed[label] += 1
                log.warning("%s of the second channel: %s", label, error)
                self._pauses[key] = pause_after(pause, str(error), first=self.patience, longest=_LONGEST_PAUSE)
        self.troubles, self.delivers, self.known = troubles, len(troubles) < len(urls), known
        return taken

    def last_deliveries(self) -> dict[str, str]:
        """When each address last took a message (UTC, ISO 8601), by the hash of the address."""
        return self.marks.of(_LAST).by

    def _announce(self, url: str, key: str, label: str, announcements: Iterable[Announcement], now: str) -> int:
        known = self.marks.of(_SINCE)
        if key not in known.by:
            known = replace(known, by={**known.by, key: now})
            self.marks.save(known)
        since, taken = known.by[key], 0
        for item in announcements:
            mark = self.marks.of(item.id)
            step = _due(item, mark.by.get(key), since)
            if step is None:
                continue
            send(url, item.message())
            taken += 1
            self.tally.delivered[label] += 1
            self.marks.save(replace(mark, by={**mark.by, key: step}))
            self.marks.save(SecondChannelMark(_LAST, {**self.last_deliveries(), key: now}))
        return taken


def _due(item: Announcement, sent: str | None, since: str) -> str | None:
    """What an address has to get now, `opened` or `resolved`.

    An incident that ended before the address was known is not sent, nor the end of one that was silenced from its beginning.
    """
    if item.open:
        return OPENED if sent is None and not item.silenced else None
    if sent == RESOLVED or (sent is None and (item.silenced or item.opened_at < since)):
        return None
    return RESOLVED


def send(url: str, message: Content) -> None:
    """Send one message.

    Raises:
        SecondChannelError: apprise does not know this kind of address, or the address did not take the message.
    """
    import apprise

    text = to_text(message)
    target = apprise.Apprise()
    if not target.add(url):
        raise SecondChannelError(
            "apprise knows no such address. Correct its line: https://github.com/caronc/apprise#supported-notifications"
        )
    title, _, rest = text.partition("\n")
    if not target.notify(title=title[:_TITLE], body=rest or title, body_format=apprise.NotifyFormat.TEXT):
        raise SecondChannelError("It did not take the message, or did not answer. It is tried again.")
