"""The sections below the incidents: silences, what was delivered where, the parts of the watch."""

from __future__ import annotations

import html

from retrain.alerts.watch.page.html_page import badge, empty, faint, html_list, section, table
from retrain.alerts.watch.page.moments import ago, lasted, when
from retrain.alerts.watch.page.mrkdwn_html import anchor
from retrain.alerts.watch.page.view import ChannelLine, Overview, PartLine, SilenceLine, Tone

# What each part does, for a person who sees that it does not.
WORK = {
    "configuration": "reads the pipelines' files and the silences again, removes old files",
    "signals": "reads what tasks and commands report",
    "observe": "asks the ledger, the raw bucket and Airflow what no task reports",
    "situation": "completes messages whose ledger could not be read",
    "slack": "brings Slack to what the incidents say",
    "second channel": "sends openings and ends beside Slack",
    "digest": "writes the daily digest",
    "check": "asks Slack whether it would take a message",
    "heartbeat": "shows the world outside that messages can be delivered",
}


def silence_section(view: Overview) -> str:
    """The silences of the file: those in force first, the others marked, invalid ones named."""
    invalid = ""
    if view.invalid_silences:
        listed = html_list(html.escape(why) for why in view.invalid_silences)
        invalid = f'<div class="box">{badge("Invalid: silences nothing", Tone.LOOK)}{listed}</div>'
    if not view.silences:
        return section("silences", "Silences", invalid or empty("Nothing is silenced. Every alert makes its message."))
    columns = ("Alert", "Now", "Why", "From, until")
    return section("silences", "Silences", table("Silences", columns, map(_silence, view.silences)) + invalid)


def delivery_section(view: Overview) -> str:
    """What each channel took, when, and what it does not take now."""
    columns = ("Channel", "Now", "Last message", "Messages in 90 days", "Since the watch started")
    rows = [_channel(line, view) for line in (*view.channels, *view.second)]
    shown = (
        table("Channels", columns, rows) if rows else empty("No channel is configured: no pipeline's file can be read.")
    )
    if not view.second:
        shown += faint("There is no second channel: while Slack is down, no message leaves the watch.")
    waiting = view.waiting
    said = "No signal waits to be read."
    if waiting.count:
        said = f"{waiting.count} signal{'s wait' if waiting.count != 1 else ' waits'} to be read, the oldest for {waiting.oldest_seconds:.0f} s."
    return section("delivery", "Delivery", f"{shown}{faint(said)}")


def part_section(view: Overview) -> str:
    """The parts of the watch, and when each last worked."""
    columns = ("Part", "Now", "Last turn", "Turns")
    return section("parts", "Parts of the watch", table("Parts of the watch", columns, map(_part, view.parts)))


def _silence(line: SilenceLine) -> tuple[str, ...]:
    subject = f", {html.escape(line.subject)}" if line.subject else ""
    mutes = f"<br>mutes {line.covers} open incident{'s' * (line.covers != 1)}" if line.covers else ""
    return (
        f"{line.kind}{subject}<br><small>{html.escape(line.pipeline)}</small>",
        f"{badge(line.state, Tone.CALM if line.in_force else Tone.LOOK)}{mutes}",
        f"{html.escape(line.reason)}<br>{anchor(line.issue, 'Issue')}",
        f'<span class="date">{line.since}</span> to <span class="date">{line.expires}</span>',
    )


def _channel(line: ChannelLine, view: Overview) -> tuple[str, ...]:
    last = f"{when(line.last)}<br><small>{lasted(line.last, view.now)} ago</small>" if line.last else "none yet"
    counts = [f"{line.delivered} delivered"]
    counts += [f"{line.refused} refused"] if line.refused else []
    counts += [f"{line.failed} tries failed"] if line.failed else []
    now = badge("Takes messages", Tone.GOOD) if line.asked else badge("Not asked yet", Tone.CALM)
    if line.trouble:
        now = f"{badge('Takes nothing now', Tone.BAD)}<br>{html.escape(line.trouble)}"
    held = "not counted" if line.held is None else f"{line.held:,}"
    return html.escape(line.name), now, last, held, ", ".join(counts)


def _part(line: PartLine) -> tuple[str, ...]:
    now = badge("Works", Tone.GOOD) if line.seconds_ago is not None else badge("Has not worked yet", Tone.CALM)
    if line.trouble:
        now = f"{badge('Does not work', Tone.BAD)}<br>{html.escape(line.trouble)}"
    name = f"{html.escape(line.name)}<br><small>{html.escape(WORK.get(line.name, ''))}</small>"
    return name, now, f"{ago(line.seconds_ago)} <small>(every {line.every:g} s)</small>", f"{line.turns:,}"
