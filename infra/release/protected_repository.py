"""GitHub's REST API of a repository whose rules are set or checked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class ProtectionError(Exception):
    """GitHub refused a request, did not answer it, or the file is broken; the message says which, and what to do."""


class RefusedError(ProtectionError):
    """GitHub refused a request. `status` and `said` are of its answer."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


@dataclass(frozen=True)
class ProtectedRepository:
    """The REST API of one repository."""

    api: str
    name: str
    token: str

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send one request below /repos/<name>, or anywhere if the path begins with two slashes. Returns the answer's JSON, or None.

        Raises:
            RefusedError: GitHub's answer is an error.
            ProtectionError: there is no answer.
        """
        place = path[1:] if path.startswith("//") else f"/repos/{self.name}{path}"
        request = urllib.request.Request(  # noqa: S310 - GitHub's own API address
            f"{self.api}{place}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "retrain-protection",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                content = answer.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise RefusedError(f"GitHub answered {error.code} to {method} {place}: {said}", error.code, said) from error
        except OSError as error:
            raise ProtectionError(f"GitHub did not answer {method} {place} ({error}). Run it again.") from error

    def pages(self, path: str, key: str | None = None) -> Iterator[Any]:
        """The entries of a list, from all its pages; `key` names the list if the answer is an object."""
        page = 1
        while True:
            answer = self.request("GET", f"{path}{'&' if '?' in path else '?'}per_page=100&page={page}")
            found = answer[key] if key else answer
            yield from found
            if len(found) < 100:  # noqa: PLR2004 - the asked size of a page
                return
            page += 1
