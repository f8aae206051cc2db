"""The messages of an incident. One that cannot be written does not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from retrain.alerts.incident import Incident
from retrain.alerts.message import messages
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.message.plain_text import Content, Plain
from retrain.alerts.watch.slack.plan import Reply, SlackMark, SlackThread

log = logging.getLogger(__name__)


@dataclass
class Rendering:
    """`unwritten` says by id which messages cannot be written and why; in their place the id is sent."""

    addresses: PageAddresses
    unwritten: dict[str, str] = field(default_factory=dict)
    _tops: dict[str, tuple[Incident, Content]] = field(
        default_factory=dict
    )  # by id, with the incident that it was written for

    def top(self, incident: Incident) -> Content:
        """The message that the channel shows. It is written once, until the incident changes."""
        known = self._tops.get(incident.id)
        if known is not None and known[0] is incident:
            return known[1]
        written = self._written(incident.id, partial(messages.top, incident, self.addresses))
        self._tops[incident.id] = (incident, written)
        return written

    def thread(self, incident: Incident, channel: str, mark: SlackMark, *, silenced: bool) -> SlackThread:
        """The message and its replies, which are written when they are sent. `mark` says what Slack holds of them already."""
        replies = tuple(
            Reply(
                entry.id,
                entry.at,
                partial(
                    self._written,
                    f"{incident.id} {entry.id}",
                    partial(messages.reply, incident, entry, self.addresses),
                ),
                entry.loud and incident.open,
                entry.pictures,
            )
            for entry in incident.entries
        )
        changed_at = max([incident.opened_at, *(entry.at for entry in incident.entries)])
        # An incident that ended before Slack held it is posted once, and not planned again.
        over = not incident.open and (messages.is_final(incident) or not mark.ts)
        top = self.top(incident)
        return SlackThread(incident.id, channel, incident.opened_at, changed_at, top, replies, silenced, over)

    def forget(self, incident: str) -> None:
        """Remove what is kept of an incident."""
        self._tops.pop(incident, None)
        self.unwritten = {name: why for name, why in self.unwritten.items() if name.split(" ")[0] != incident}

    def _written(self, identifier: str, render: Callable[[], Content]) -> Content:
        try:
            written = render()
        except Exception as error:
            if identifier not in self.unwritten:
                log.exception("The message of %s cannot be written", identifier)
            self.unwritten[identifier] = f"cannot be written: {error!r}"
            return Plain(f"{identifier}: see the watch's page, the message could not be written.")
        self.unwritten.pop(identifier, None)
        return written
