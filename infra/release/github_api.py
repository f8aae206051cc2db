"""One request to GitHub's REST API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class GitHubRefusedError(Exception):
    """GitHub's answer is an error; the message has its status and its words."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class GitHubSilentError(Exception):
    """GitHub did not answer; the message says to what."""


def send(api: str, token: str, method: str, place: str, body: object = None) -> Any:
    """Send one request to `place`, a path below `api`. Returns the answer's JSON; None if the answer is empty.

    Raises:
        GitHubRefusedError: the answer is an error.
        GitHubSilentError: there is no answer.
    """
    request = urllib.request.Request(  # noqa: S310 - GitHub's own API address
        f"{api}{place}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "retrain",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            content = answer.read()
            return json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        raise GitHubRefusedError(
            f"GitHub answered {error.code} to {method} {place}: {said}", error.code, said
        ) from error
    except OSError as error:
        raise GitHubSilentError(f"GitHub did not answer {method} {place} ({error}). Run it again.") from error
