"""The page's first section: can the watch deliver, what needs a person, and how fresh the page is."""

from __future__ import annotations

import html
from collections.abc import Sequence

from retrain.alerts.watch.page.html_page import reasons
from retrain.alerts.watch.page.moments import lasted, when
from retrain.alerts.watch.page.view import Overview, PartLine, Tone


def verdict_section(view: Overview) -> str:
    """The verdict, the reasons for it, and the facts that make it believable."""
    tone, headline, meaning = _verdict(view)
    why = f"<h2>Why</h2>{reasons(view.problems)}" if view.problems else ""
    look = ""
    if count := len(view.attention):
        things = f"{count}{' more' if view.problems else ''} thing{'s are' if count != 1 else ' is'} worth a look"
        summary = things if view.problems else f"{things}; no message is kept back"
        look = f"<details><summary>{summary}</summary>{reasons(view.attention)}</details>"
    facts = {"Open": html.escape(_open(view)), "Last message": _last(view), "Parts of the watch": _parts(view.parts)}
    listed = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in facts.items())
    return (
        f'<section class="verdict {tone}" aria-label="Verdict"><h1>{headline}</h1><p>{meaning}</p>'
        f"{why}<dl>{listed}</dl>{look}</section>"
    )


def _verdict(view: Overview) -> tuple[Tone, str, str]:
    if not view.delivers:
        return (
            Tone.BAD,
            "✕ Messages cannot be delivered. Some may be missing.",
            "Silence in the channels proves nothing until this is repaired. This page still shows what the watch knows.",
        )
    means = "Everything that is wrong is listed below." if view.open else "Silence means that nothing is wrong."
    return Tone.GOOD, "✓ Messages can be delivered.", means


def _open(view: Overview) -> str:
    if not view.open:
        return "nothing"
    loud = [known for known in view.open if not known.silenced]
    urgent = sum(known.tone is Tone.BAD for known in loud)
    counts = [
        f"{urgent} need{'s' * (urgent == 1)} a person now" if urgent else "",
        f"{len(loud) - urgent} can wait or run" if len(loud) > urgent else "",
        f"{len(view.open) - len(loud)} silenced" if len(view.open) > len(loud) else "",
    ]
    return f"{len(view.open)}: {', '.join(filter(None, counts))}"


def _last(view: Overview) -> str:
    channel = view.last_delivery
    if channel is None:
        return "none yet"
    return f"{when(channel.last)}, {lasted(channel.last, view.now)} ago, in {html.escape(channel.name)}"


def _parts(parts: Sequence[PartLine]) -> str:
    ill = [part.name for part in parts if part.trouble]
    if ill:
        return f'<a href="#parts">{html.escape(", ".join(ill))}: not working</a>'
    waiting = sum(part.seconds_ago is None for part in parts)
    if waiting:
        return f'<a href="#parts">{waiting} of {len(parts)} have not worked yet</a>'
    oldest = max((part.seconds_ago or 0.0 for part in parts), default=0.0)
    return f'<a href="#parts">all {len(parts)} worked in the last {max(oldest, 1.0):.0f} s</a>'
