"""The addresses in messages: readers of a real Slack cannot open pages on the loopback interface of the host."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from retrain.doctor.finding import Finding, ok, warning
from retrain.doctor.surroundings import Surroundings

_NAMES = ("RETRAIN_AIRFLOW_URL", "RETRAIN_MLFLOW_URL", "RETRAIN_RUNBOOKS_URL")


def is_loopback(url: str) -> bool:
    """True if the address leads to the reader's own machine. An empty one does: the default is on 127.0.0.1."""
    host = urlsplit(url).hostname or "localhost"
    return host in ("localhost", "::1") or host.startswith("127.")


def check(here: Surroundings) -> Iterator[Finding]:
    """The addresses of the pages to which messages link."""
    local = [name for name in _NAMES if is_loopback(here.environment.get(name, ""))]
    slack = here.environment.get("RETRAIN_SLACK_API_URL", "")
    if not local:
        yield ok("addresses", "messages link to pages on other hosts than 127.0.0.1")
    elif slack:
        yield ok("addresses", f"on 127.0.0.1, as is right for a Slack at {slack}")
    else:
        yield warning(
            "addresses",
            f"{', '.join(local)} lead to 127.0.0.1: a link in Slack opens only for a reader who has a tunnel to the host",
            "Set them to addresses that people can open: infra/docs/first-deployment.md, The pages.",
        )
