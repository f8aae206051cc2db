"""Where tasks and commands leave their signals. Whoever tells never fails for it, and never waits for Slack."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from retrain.alerts.facts import FactsJson, FailureFacts, mapping, merged
from retrain.alerts.outbox import Outbox
from retrain.alerts.redaction import REDACTED, known_secrets, redact_facts
from retrain.alerts.signal import Signal
from retrain.errors import OutboxError
from retrain.work.workspace import home

log = logging.getLogger(__name__)

_EVIDENCE_LIMIT = 1200  # characters


def folder() -> Path:
    """Where the outbox is, on the volume that workers and the watch share: RETRAIN_ALERTS, or `alerts` in RETRAIN_HOME."""
    return Path(os.environ.get("RETRAIN_ALERTS") or home() / "alerts")


def tell(signal: Signal, pictures: Mapping[str, bytes] | None = None) -> None:
    """Leave a signal, without the secrets that this process knows. A disk that takes none is logged with what was to be told."""
    safe = replace(signal, facts=_safe(signal.facts))
    try:
        Outbox(folder() / "outbox").put(safe, pictures)
    except OutboxError:
        log.exception("This was not told: %s", safe.to_json())


def _safe(facts: FactsJson) -> FactsJson:
    """Without secrets, and only then cut to size: of a secret that is cut in two, the first half would not be recognised."""
    safe = FactsJson(redact_facts(mapping(facts), known_secrets(os.environ), _airflows_masker()))
    evidence = FailureFacts.read(safe).evidence or ""
    if len(evidence) <= _EVIDENCE_LIMIT:
        return safe
    return merged(safe, FailureFacts(evidence=evidence[:_EVIDENCE_LIMIT]).written())


def _airflows_masker() -> Callable[[str], str]:
    """Airflow's masker knows each secret that this process has had from Airflow, whichever backend it came from.

    A process that has not loaded Airflow has had none, and is spared its import.
    """
    airflow = sys.modules.get("airflow.sdk.log")
    if airflow is None:
        return str
    return lambda text: str(airflow.redact(text, replacement=REDACTED))
