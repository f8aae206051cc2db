"""The channel beside Slack - mail, Teams, whatever apprise knows - for when Slack itself is what is down.

It hears of each opening and each end, in plain text, and nothing in between. Each address has marks of its own: one that takes
nothing holds up no other. Where an answer is lost a message is sent again: twice is better than not at all.
"""

from __future__ import annotations

import hashlib
import logging
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrain.alerts.message.plain_text import Content, to_text
from retrain.alerts.watch.book import Heard, Marks
from retrain.errors import SecondChannelError

log = logging.getLogger(__name__)
# apprise quotes addresses, and with them passwords, in what it logs on its way.
logging.getLogger("apprise").setLevel(logging.ERROR)

OPENED = "opened"
RESOLVED = "resolved"
_SINCE = "addresses"  # the mark that says since when each address is known
_TITLE = 120
_LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class SecondChannelAddresses:
    """apprise's URLs: one a line of a private file, or separated by blanks."""

    urls: str = field(default="", repr=False)
    file: Path | None = None

    def read(self) -> list[str]:
        """SecondChannelError when the file cannot be read, or by others too: its lines hold passwords."""
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
class News:
    """An incident, as the second channel hears of it."""

    id: str
    opened_at: str
    open: bool
    silenced: bool
    message: Callable[[], Content]


@dataclass
class SecondChannel:
    """Tells each address what it has not heard. One thread's own."""

    addresses: SecondChannelAddresses
    marks: Marks[Heard]
    patience: float = 15.0  # seconds before an address that failed is tried again; doubled, to five minutes
    troubles: dict[str, str] = field(default_factory=dict)
    delivers: bool = False  # whether an address takes messages, as far as the newest run knows
    _pauses: dict[str, tuple[float, int]] = field(default_factory=dict)

    def run(self, news: Iterable[News], now: str) -> int:
        """Gives the number of messages that were taken. `now` is UTC, ISO 8601. What was not taken is in `troubles`."""
        asked, taken = list(news), 0
        try:
            urls = self.addresses.read()
        except SecondChannelError as error:
            self.troubles, self.delivers = {"configuration": str(error)}, False
            return 0
        troubles: dict[str, str] = {}
        for number, url in enumerate(urls, start=1):
            label, key = f"address {number}", hashlib.sha256(url.encode()).hexdigest()[:12]
            until, failures = self._pauses.get(key, (0.0, 0))
            if time.monotonic() < until:
                troubles[label] = self.troubles.get(label, "waits")
                continue
            try:
                taken += self._tell(url, key, asked, now)
                self._pauses.pop(key, None)
            except SecondChannelError as error:
                troubles[label] = str(error)
                log.warning("%s of the second channel: %s", label, error)
                self._pauses[key] = (
                    time.monotonic() + min(self.patience * 2**failures, _LONGEST_PAUSE),
                    failures + 1,
                )
        self.troubles, self.delivers = troubles, len(troubles) < len(urls)
        return taken

    def _tell(self, url: str, key: str, news: Iterable[News], now: str) -> int:
        known = self.marks.of(_SINCE)
        if key not in known.by:
            known = replace(known, by={**known.by, key: now})
            self.marks.save(known)
        since, taken = known.by[key], 0
        for item in news:
            heard = self.marks.of(item.id)
            step = _due(item, heard.by.get(key), since)
            if step is None:
                continue
            send(url, item.message())
            taken += 1
            self.marks.save(replace(self.marks.of(item.id), by={**heard.by, key: step}))
        return taken


def _due(item: News, heard: str | None, since: str) -> str | None:
    """What an address has to hear. It hears nothing of what was over before it was known, nor the end of what was silenced."""
    if item.open:
        return OPENED if heard is None and not item.silenced else None
    if heard == RESOLVED or (heard is None and (item.silenced or item.opened_at < since)):
        return None
    return RESOLVED


def send(url: str, message: Content) -> None:
    """SecondChannelError when the address is none that apprise knows, or does not take the message."""
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
