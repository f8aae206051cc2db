"""Where tasks and commands leave their signals. Whoever tells never fails for it, and never waits for Slack."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from retrain.alerts.outbox import Outbox
from retrain.alerts.redaction import known_secrets, redact_facts
from retrain.alerts.signal import Signal
from retrain.errors import OutboxError
from retrain.workspace import home

log = logging.getLogger(__name__)


def folder() -> Path:
    """Where the outbox is, on the volume that workers and the watch share: RETRAIN_ALERTS, or `alerts` in RETRAIN_HOME."""
    return Path(os.environ.get("RETRAIN_ALERTS") or home() / "alerts")


def tell(signal: Signal, pictures: Mapping[str, bytes] | None = None) -> None:
    """Leave a signal, without the secrets that this process knows. A disk that takes none is logged with what was to be told."""
    safe = replace(signal, facts=redact_facts(signal.facts, known_secrets(os.environ)))
    try:
        Outbox(folder() / "outbox").put(safe, pictures)
    except OutboxError:
        log.exception("This was not told: %s", safe.to_json())
