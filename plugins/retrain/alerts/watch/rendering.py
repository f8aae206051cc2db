"""What Slack should hold of an incident: its message and the replies in its thread, written so that none holds up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from retrain.alerts.incident import Incident
from retrain.alerts.message import messages
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.message.plain_text import Content, Plain
from retrain.alerts.watch.book import InSlack
from retrain.alerts.watch.slack.delivery import Reply, Thread

log = logging.getLogger(__name__)


@dataclass
class Rendering:
    """`unwritten` says which messages cannot be written, and why: these are sent as their bare ids."""

    addresses: PageAddresses
    unwritten: dict[str, str] = field(default_factory=dict)

    def top(self, incident: Incident) -> Content:
        """The incident's message in the channel."""
        return self._written(incident.id, partial(messages.top, incident, self.addresses))

    def thread(self, incident: Incident, channel: str, in_slack: InSlack, *, silenced: bool) -> Thread:
        """The incident's message and its replies. `in_slack` is what Slack holds of it already."""
        replies = tuple(
            Reply(
                entry.id,
                entry.at,
                self._written(f"{incident.id} {entry.id}", partial(messages.reply, incident, entry, self.addresses)),
                entry.loud and incident.open,
                entry.pictures,
            )
            for entry in incident.entries
        )
        changed_at = max([incident.opened_at, *(entry.at for entry in incident.entries)])
        # What had ended before it was told is told once, and never looked at again.
        over = not incident.open and (messages.is_final(incident) or not in_slack.ts)
        return Thread(incident.id, channel, incident.opened_at, changed_at, self.top(incident), replies, silenced, over)

    def forget(self, incident: str) -> None:
        """Drop what is known of an incident that the book has forgotten."""
        self.unwritten = {name: why for name, why in self.unwritten.items() if name.split(" ")[0] != incident}

    def _written(self, identifier: str, render: Callable[[], Content]) -> Content:
        try:
            written = render()
        except Exception as error:
            if identifier not in self.unwritten:
                log.exception("the message of %s cannot be written", identifier)
            self.unwritten[identifier] = f"cannot be written: {error!r}"
            return Plain(f"{identifier}: see the watch's page, the message could not be written.")
        self.unwritten.pop(identifier, None)
        return written
