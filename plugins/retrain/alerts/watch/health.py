"""What is wrong with the watch, put together from the findings of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Findings:
    """What one part found wrong: the reason, by place.

    `problems`: messages cannot be delivered. `slack`: Slack takes no messages; another channel may. `attention`: messages are
    delivered, and a person should look at something when there is time.
    """

    problems: Mapping[str, str] = field(default_factory=dict)
    slack: Mapping[str, str] = field(default_factory=dict)
    attention: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WatchHealth:
    """What is wrong with the watch: the reason, by place.

    `problems`: messages cannot be delivered, so silence proves nothing. A part fails or hangs; Slack takes nothing and no
    second channel does; the outbox cannot be read or written; signals wait too long; no pipeline's questions are answered.
    `attention`: messages are delivered, and something is worth a look, such as a refused block, a missing picture, a file that
    was put aside, a pipeline's broken file, an invalid silence.
    """

    problems: dict[str, str]
    attention: dict[str, str]


def combined(findings: Iterable[Findings], *, second_channel_delivers: bool) -> WatchHealth:
    """The watch's health. Of two reasons for one place the first counts."""
    problems: dict[str, str] = {}
    attention: dict[str, str] = {}
    for found in findings:
        _add(found.problems, problems)
        # One channel that delivers is enough; Slack is then only worth a look.
        _add(found.slack, attention if second_channel_delivers else problems)
        _add(found.attention, attention)
    return WatchHealth(problems, attention)


def _add(found: Mapping[str, str], known: dict[str, str]) -> None:
    for place, why in found.items():
        known.setdefault(place, why)
