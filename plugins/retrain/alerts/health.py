"""Whether on-call can trust the silence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain.alerts.watch import Watch

_WAITS_TOO_LONG = 60.0  # seconds of a signal in the outbox
_BLIND_TOO_LONG = 60.0  # seconds of questions without an answer


def problems(watch: Watch) -> dict[str, str]:
    """All that is not well, by where; empty when on-call can trust the silence."""
    found = {part.name: part.trouble for part in watch.parts.values() if part.trouble}
    found |= {f"slack, {name}": pause.trouble for name, pause in dict(watch.delivery.pauses).items()}
    found |= {f"second channel, {name}": says for name, says in dict(watch.second.troubles).items()}
    found |= {f"pipeline {name}": says for name, says in watch.broken.items()}
    found |= {f"silence {number}": says for number, says in enumerate(watch.silences.invalid, 1)}
    found |= {f"message {name}": says for name, says in dict(watch.unshown).items()}
    if watch.blind_since is not None and time.monotonic() - watch.blind_since > _BLIND_TOO_LONG:
        found["observe"] = " ".join(watch.blind_to)
    for known in watch.book.open():
        for item, why in watch.told.of(known.id).refused.items():
            found[f"refused {known.id} {item}".strip()] = why
        if watch.channel(known.key.pipeline) is None:
            found[f"channel of {known.key.pipeline}"] = "Its incidents have no channel: no pipeline's file can be read."
    count, age = watch.outbox.waiting()
    if age > _WAITS_TOO_LONG:
        found["outbox"] = f"{count} signals wait, the oldest for {age:.0f} s."
    garbage = [*watch.outbox.garbage(), *(path.name for path in watch.settings.folder.rglob("*.broken"))]
    if garbage:
        found["garbage"] = (
            f"{len(garbage)} files are none of the watch's: {', '.join(garbage[:5])}. Look, then remove them."
        )
    return found
