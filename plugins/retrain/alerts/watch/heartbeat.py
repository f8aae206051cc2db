"""The watch's sign of life: a file, and a request to an outside service that raises an alarm when the requests stop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retrain.alerts.errors import WatchError
from retrain.work.files import write_whole


@dataclass
class Heartbeat:
    """Stops while messages cannot be delivered, after `patience` seconds of that."""

    file: Path
    url: str | None
    patience: float
    _unable_since: float | None = None

    def beat(self, problems: Mapping[str, str], now: datetime, *, outside: bool = True) -> None:
        """Write the file; with `outside` also request the URL. `problems` says what keeps messages from being delivered now.

        Raises:
            WatchError: messages could not be delivered for too long, so there is no beat; or the service did not take it.
        """
        if not problems:
            self._unable_since = None
        elif self._unable_since is None:
            self._unable_since = time.monotonic()
        if self._unable_since is not None:
            seconds = time.monotonic() - self._unable_since
            if seconds >= self.patience:
                why = "; ".join(f"{where}: {said}" for where, said in problems.items())
                raise WatchError(f"No heartbeat: messages cannot be delivered since {seconds:.0f} s. {why}")
        write_whole(self.file, f"{now.isoformat()}\n".encode())
        if self.url and outside:
            import httpx

            try:
                httpx.get(self.url, timeout=10).raise_for_status()
            except httpx.HTTPError as error:
                raise WatchError(f"RETRAIN_HEARTBEAT_URL did not take the beat: {type(error).__name__}") from error
