"""How many messages each channel has taken since the watch started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tally:
    """Counts by channel: Slack's by their names, or `second channel, address 1`.

    `delivered` counts messages, updates, replies and pictures that the channel took. `refused` counts contents that it would
    refuse again. `failed` counts tries that are repeated later: the channel did not answer, or takes nothing at present.
    """

    delivered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
