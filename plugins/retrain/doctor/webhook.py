"""Alertmanager's webhook in Slack: whether Slack knows it. A message without text shows that, because Slack posts none."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from retrain.doctor.finding import Finding, ok, unknown, wrong
from retrain.doctor.secret_shapes import problem
from retrain.doctor.surroundings import Surroundings

_SECONDS = 10.0
_WITHOUT_TEXT = b'{"text": ""}'
# Slack has read the message, and refuses it for its missing text.
_KNOWN = ("no_text", "invalid_payload", "missing_text_or_fallback_or_attachments")
_FIX = "Make a webhook in the Slack app (Incoming Webhooks), and put its address into the secret slack_webhook."


def check(here: Surroundings) -> Iterator[Finding]:
    """The webhook in the file RETRAIN_SLACK_WEBHOOK_FILE; `-` is standard input."""
    named = here.environment.get("RETRAIN_SLACK_WEBHOOK_FILE")
    if not named:
        yield unknown(
            "Slack's webhook",
            "only Alertmanager's container has it",
            "On the host: infra/docs/first-deployment.md, Is all of it right?",
        )
        return
    try:
        address = (sys.stdin.read() if named == "-" else Path(named).read_text(encoding="utf-8")).strip()
    except OSError as error:
        yield wrong("Slack's webhook", f"cannot be read: {error.strerror}", _FIX)
        return
    said = problem("slack_webhook", address)
    yield wrong("Slack's webhook", said, _FIX) if said else judge(*_post(address))


def _post(address: str) -> tuple[int, str]:
    """The status and the text of Slack's answer; status 0 if there is none."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, _WITHOUT_TEXT, headers, method="POST")  # noqa: S310 - its shape was checked
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read(200).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(200).decode("utf-8", "replace")
    except OSError as error:
        return 0, str(error)


def judge(status: int, text: str) -> Finding:
    """What Slack's answer to a message without text says about the webhook."""
    if text.strip() in _KNOWN:
        return ok("Slack's webhook", f"Slack knows it ({text.strip()} for a message without text); nothing was posted")
    if status == 0:
        return wrong("Slack's webhook", f"no answer: {text}", "Let the host reach hooks.slack.com on port 443.")
    return wrong("Slack's webhook", f"Slack answers {status}: {text.strip()[:100]}", _FIX)
