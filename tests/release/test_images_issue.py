"""Known vulnerabilities in the images are one issue, which says what to do and closes itself. GitHub is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from comment import CommentError, GitHub
from github_server import TOKEN, github_server
from images_issue import TITLE, report, text

RUN = {"GITHUB_REPOSITORY": "example/trip-duration", "GITHUB_RUN_ID": "77"}


@dataclass
class IssuesStandin:
    """The issues of one repository; a page has 100 of them, the newest first, and pull requests are among them."""

    url: str = ""
    issues: list[dict[str, Any]] = field(default_factory=list)

    def add(self, title: str, kind: str = "Bot", body: str = "", state: str = "open") -> dict[str, Any]:
        number = len(self.issues) + 1
        made = {"number": number, "title": title, "body": body, "user": {"type": kind}, "state": state}
        self.issues.append(made | {"html_url": f"https://github.com/example/trip-duration/issues/{number}"})
        return self.issues[-1]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        asked = parse_qs(parts.query)
        match (method, *parts.path.removeprefix("/repos/example/trip-duration/").split("/")):
            case ("GET", "issues"):
                found = [issue for issue in reversed(self.issues) if issue["state"] == asked["state"][0]]
                begin = (int(asked["page"][0]) - 1) * 100
                return 200, found[begin : begin + 100]
            case ("POST", "issues"):
                return 201, self.add(body["title"], body=body["body"])
            case ("PATCH", "issues", number):
                self.issues[int(number) - 1] |= body
                return 200, self.issues[int(number) - 1]
        return 404, {"message": "Not Found"}


@pytest.fixture
def github() -> Iterator[IssuesStandin]:
    standin = IssuesStandin()

    def answer(token: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        if token != TOKEN:
            return 403, {"message": "Resource not accessible by integration"}
        return standin.answer(method, path, body)

    with github_server(answer) as standin.url:
        yield standin


def told(github: IssuesStandin, released: str, main: str, token: str = TOKEN) -> str:
    wanted = text(RUN | {"RELEASED": released, "MAIN": main})
    return report(GitHub(github.url, "example/trip-duration", token), wanted)


@pytest.mark.parametrize(
    ("released", "main", "says"),
    [
        ("failure", "success", "release main under a new tag"),
        ("success", "failure", "no release can be made now"),
        ("failure", "failure", "Then release main under a new tag"),
        ("success", "cancelled", "no release can be made now"),
    ],
)
def test_the_issue_says_what_to_do(github: IssuesStandin, released: str, main: str, says: str) -> None:
    assert told(github, released, main).startswith("opened")
    (issue,) = github.issues
    assert says in issue["body"]
    assert "https://github.com/example/trip-duration/actions/runs/77" in issue["body"]


def test_the_next_week_changes_the_open_issue_and_opens_no_second(github: IssuesStandin) -> None:
    told(github, "failure", "failure")
    for _ in range(150):
        github.add("another issue", "User")
    assert told(github, "failure", "success").startswith("updated")
    ours = [issue for issue in github.issues if issue["title"] == TITLE]
    assert [issue["state"] for issue in ours] == ["open"]
    assert "The images of main pass" in ours[0]["body"]


def test_the_issue_closes_itself_and_a_later_finding_opens_another(github: IssuesStandin) -> None:
    told(github, "failure", "success")
    assert told(github, "success", "success").startswith("both scans passed: closed")
    assert told(github, "success", "success") == "both scans passed"
    told(github, "failure", "success")
    assert [issue["state"] for issue in github.issues] == ["closed", "open"]


def test_a_persons_issue_with_the_same_title_is_left_alone(github: IssuesStandin) -> None:
    theirs = github.add(TITLE, "User", "mine")
    told(github, "failure", "success")
    told(github, "success", "success")
    assert (theirs["state"], theirs["body"]) == ("open", "mine")


def test_a_refusal_of_github_is_an_error(github: IssuesStandin) -> None:
    with pytest.raises(CommentError, match="403"):
        told(github, "failure", "success", token="other")
