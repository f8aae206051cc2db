"""Comment a report on its pull request: `comment.py FOLDER`. A pull request has one such comment, which is updated.

The pictures are stored in the repository itself, as a commit under `refs/reports/pr-<number>`: no branch, no history, and only
the repository's readers can see them. Reads GITHUB_REPOSITORY, GITHUB_TOKEN (contents and pull-requests: write), PULL_REQUEST,
GITHUB_API_URL and GITHUB_SERVER_URL. FOLDER was written by the change's own code, so its files are used only as text and pictures
of limited size; nothing in it is executed.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import github_api

HEADER = "<!-- retrain: a real day -->"
_LONGEST = 60_000  # characters; GitHub takes 65,536
_LARGEST = 2_000_000  # bytes of a picture
_MOST = 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\.png")
_PNG = b"\x89PNG\r\n\x1a\n"
_NOT_FOUND = 404


class CommentError(Exception):
    """GitHub refused a request, or FOLDER is not a valid report; the message says which."""


@dataclass(frozen=True)
class GitHub:
    """The REST API of one repository."""

    api: str
    repository: str
    token: str

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send one request. Returns the answer's JSON; None when a GET is answered with 404.

        Raises:
            CommentError: any other refusal, or no answer.
        """
        try:
            return github_api.send(self.api, self.token, method, f"/repos/{self.repository}{path}", body)
        except github_api.GitHubRefusedError as error:
            if error.status == _NOT_FOUND and method == "GET":
                return None
            raise CommentError(str(error)) from error
        except github_api.GitHubSilentError as error:
            raise CommentError(str(error)) from error

    def comments(self, number: int) -> Iterator[dict[str, Any]]:
        """All comments on a pull request, oldest first."""
        page = 1
        while found := self.request("GET", f"/issues/{number}/comments?per_page=100&page={page}"):
            yield from found
            page += 1

    def keep(self, pictures: Mapping[str, Path], reference: str) -> str:
        """Make `reference` a new commit that holds only these pictures; returns the commit."""
        tree = []
        for name, path in pictures.items():
            content = base64.b64encode(path.read_bytes()).decode()
            blob = self.request("POST", "/git/blobs", {"content": content, "encoding": "base64"})
            tree.append({"path": name, "mode": "100644", "type": "blob", "sha": blob["sha"]})
        made = self.request("POST", "/git/trees", {"tree": tree})
        commit = self.request("POST", "/git/commits", {"message": reference, "tree": made["sha"], "parents": []})
        sha = str(commit["sha"])
        if self.request("GET", f"/git/ref/{reference}"):
            self.request("PATCH", f"/git/refs/{reference}", {"sha": sha, "force": True})
        else:
            self.request("POST", "/git/refs", {"ref": f"refs/{reference}", "sha": sha})
        return sha


def pictures(folder: Path) -> dict[str, Path]:
    """The PNG files of a report by name. Every other file, apart from report.md, is refused.

    Raises:
        CommentError: a file's name, size or content is not that of a picture, or there are too many.
    """
    found = {path.name: path for path in sorted(folder.iterdir()) if path.name != "report.md"}
    for name, path in found.items():
        if not _NAME.fullmatch(name) or path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            raise CommentError(
                f"{name!r} is not a valid picture. Its name has letters, digits, - and _, then .png; its size is at most {_LARGEST:,} bytes."
            )
        if path.read_bytes()[:8] != _PNG:
            raise CommentError(f"{name!r} is not a PNG file.")
    if len(found) > _MOST:
        raise CommentError(f"{len(found)} pictures; a report has at most {_MOST}.")
    return found


def text(folder: Path, addresses: Mapping[str, str]) -> str:
    """The comment's text: report.md, with each picture's name replaced by its address."""
    written = (folder / "report.md").read_text(encoding="utf-8", errors="replace").replace(HEADER, "")
    for name, address in addresses.items():
        written = written.replace(f"]({name})", f"]({address})")
    if len(written) > _LONGEST:
        written = f"{written[:_LONGEST]}\n\n(cut here: the complete report is in the run's artifact)"
    return f"{HEADER}\n{written.strip()}\n"


def publish(github: GitHub, server: str, number: int, folder: Path) -> str:
    """Create or update the comment on the pull request; returns the comment's address.

    Raises:
        CommentError: GitHub refused, or the report is not valid.
    """
    found = pictures(folder)
    addresses = {}
    if found:
        commit = github.keep(found, f"reports/pr-{number}")
        addresses = {name: f"{server}/{github.repository}/raw/{commit}/{name}" for name in found}
    body = {"body": text(folder, addresses)}
    # A person may quote the report: such a comment is not ours.
    ours = next(
        (c for c in github.comments(number) if c["body"].startswith(HEADER) and c["user"]["type"] == "Bot"), None
    )
    if ours:
        done = github.request("PATCH", f"/issues/comments/{ours['id']}", body)
    else:
        done = github.request("POST", f"/issues/{number}/comments", body)
    return str(done["html_url"])


def main(arguments: list[str]) -> int:
    (folder,) = arguments
    environ = os.environ
    try:
        github = GitHub(
            environ.get("GITHUB_API_URL", "https://api.github.com"),
            environ["GITHUB_REPOSITORY"],
            environ["GITHUB_TOKEN"],
        )
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        print(publish(github, server, int(environ["PULL_REQUEST"]), Path(folder)))
    except (CommentError, KeyError, ValueError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
