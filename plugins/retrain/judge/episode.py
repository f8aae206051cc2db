"""An episode of trouble: it opens on one day and ends after enough calm days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from retrain.judge.verdict import State


@dataclass(frozen=True)
class Episode:
    """Whether a pipeline has an open episode after the day `partition`.

    `since` is the partition that opened it, None while none is open. `calm` counts the calm days in a row up to this one.
    `opened` and `cleared` are True on the day that opened or ended an episode.
    """

    partition: str = ""
    since: str | None = None
    calm: int = 0
    opened: bool = False
    cleared: bool = False

    def then(self, partition: str, *, opens: bool, calm: bool, calm_days: int) -> Episode:
        """The episode after the next day. More is needed to open an episode than to keep it open, so that it does not flicker.

        Args:
            partition: the next day.
            opens: whether that day opens an episode if none is open.
            calm: whether that day counts towards the end of an open one.
            calm_days: calm days in a row that end an episode.
        """
        if self.since is None:
            return Episode(partition, partition if opens else None, opened=opens)
        quiet = self.calm + 1 if calm else 0
        if quiet >= calm_days:
            return Episode(partition, cleared=True)
        return replace(self, partition=partition, calm=quiet, opened=False)

    @property
    def days(self) -> int:
        """Calendar days since the episode opened, counting that day; 0 while none is open."""
        if self.since is None:
            return 0
        return (date.fromisoformat(self.partition) - date.fromisoformat(self.since)).days + 1

    def state(self, *, unusual: bool) -> State:
        """The day's state; `unusual` says whether the day by itself shows anything worth a look."""
        if self.since is not None:
            return State.ALERT
        return State.WATCH if unusual else State.CALM
