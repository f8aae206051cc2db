"""Leaves the signals of tasks and commands in the outbox: without secrets, without failing, without waiting for Slack."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from retrain.alerts.errors import OutboxError
from retrain.alerts.facts import FactsJson, FailureFacts, mapping, merged
from retrain.alerts.outbox import Outbox
from retrain.alerts.redaction import REDACTED, known_secrets, redact_facts
from retrain.alerts.signal import Signal
from retrain.work.workspace import home

log = logging.getLogger(__name__)

_EVIDENCE_LIMIT = 1200  # characters


def folder() -> Path:
    """The folder of alerts on the volume that workers and the watch share: RETRAIN_ALERTS, or `alerts` in RETRAIN_HOME."""
    return Path(os.environ.get("RETRAIN_ALERTS") or home() / "alerts")


def tell(signal: Signal, pictures: Mapping[str, bytes] | None = None) -> None:
    """Put a signal into the outbox, without secrets. If the disk refuses it, the signal is logged as an error instead."""
    safe = replace(signal, facts=_safe(signal.facts))
    try:
        Outbox(folder() / "outbox").put(safe, pictures)
    except OutboxError:
        log.exception("This signal is in no outbox: %s", safe.to_json())


def _safe(facts: FactsJson) -> FactsJson:
    """Remove secrets, then cut the evidence to size. The other way round, half a secret could be left, which no pattern knows."""
    safe = FactsJson(redact_facts(mapping(facts), known_secrets(os.environ), _airflows_masker()))
    evidence = FailureFacts.read(safe).evidence or ""
    if len(evidence) <= _EVIDENCE_LIMIT:
        return safe
    return merged(safe, FailureFacts(evidence=evidence[:_EVIDENCE_LIMIT]).written())


def _airflows_masker() -> Callable[[str], str]:
    """Airflow's masker: it knows each secret that this process has read through Airflow, from any secrets backend.

    A process that has not loaded Airflow has read none, and does not import it for this.
    """
    airflow = sys.modules.get("airflow.sdk.log")
    if airflow is None:
        return str
    return lambda text: str(airflow.redact(text, replacement=REDACTED))
