"""GitHub's REST API of a repository whose rules are set or checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import github_api


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
        try:
            return github_api.send(self.api, self.token, method, place, body)
        except github_api.GitHubRefusedError as error:
            raise RefusedError(str(error), error.status, error.said) from error
        except github_api.GitHubSilentError as error:
            raise ProtectionError(str(error)) from error

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
