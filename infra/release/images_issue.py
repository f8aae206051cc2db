"""Open, update or close the issue that says what to do about known vulnerabilities in the images.

Reads RELEASED and MAIN, the results of the two scans of .github/workflows/images.yml (`success`, or another word of GitHub's), and
GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_TOKEN (issues: write), GITHUB_API_URL and GITHUB_SERVER_URL. There is one open issue at most.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from comment import CommentError, GitHub

TITLE = "The images have known vulnerabilities, or were not scanned"
_STEPS = {
    ("RELEASED", "MAIN"): (
        "The newest release has a known vulnerability with a fix, or was not scanned, and so have the images of main. Merge Dependabot's "
        "pull requests that the scan asks for, or write in `infra/release/grype.yaml` why it does not matter. Then release main under a new tag."
    ),
    ("RELEASED",): (
        "The newest release has a known vulnerability with a fix, or was not scanned. The images of main pass: release main under a new tag."
    ),
    ("MAIN",): (
        "The newest release passes, but the images of main do not, or were not built: no release can be made now. Merge Dependabot's pull "
        "requests that the scan asks for, or write in `infra/release/grype.yaml` why it does not matter."
    ),
}


def text(environ: Mapping[str, str]) -> str | None:
    """What to do, as Markdown; None if both scans passed."""
    bad = tuple(name for name in ("RELEASED", "MAIN") if environ[name] != "success")
    if not bad:
        return None
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    run = f"{server}/{environ['GITHUB_REPOSITORY']}/actions/runs/{environ['GITHUB_RUN_ID']}"
    return f"{_STEPS[bad]}\n\nThe findings are in [the run]({run}). This issue closes itself when both scans pass."


def report(github: GitHub, wanted: str | None) -> str:
    """Make the issue say `wanted`, or close it if there is nothing to say; returns what was done.

    Raises:
        CommentError: GitHub refused, or did not answer.
    """
    # A person may use the same title: such an issue is not ours.
    ours = next(
        (found for found in _open_issues(github) if found["title"] == TITLE and found["user"]["type"] == "Bot"), None
    )
    if wanted is None:
        if ours is None:
            return "both scans passed"
        github.request("PATCH", f"/issues/{ours['number']}", {"state": "closed", "state_reason": "completed"})
        return f"both scans passed: closed {ours['html_url']}"
    if ours is None:
        made = github.request("POST", "/issues", {"title": TITLE, "body": wanted})
        return f"opened {made['html_url']}"
    github.request("PATCH", f"/issues/{ours['number']}", {"body": wanted})
    return f"updated {ours['html_url']}"


def _open_issues(github: GitHub) -> Iterator[dict[str, Any]]:
    page = 1
    while found := github.request("GET", f"/issues?state=open&per_page=100&page={page}"):
        yield from found
        page += 1


def main() -> int:
    environ = os.environ
    try:
        github = GitHub(
            environ.get("GITHUB_API_URL", "https://api.github.com"),
            environ["GITHUB_REPOSITORY"],
            environ["GITHUB_TOKEN"],
        )
        print(report(github, text(environ)))
    except (CommentError, KeyError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
