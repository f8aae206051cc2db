"""The report on a pull request, against a stand-in that enforces GitHub's rules: one comment, pictures in the repository itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import comment
import pytest
from comment import HEADER, CommentError, GitHub, pictures, publish, text
from github_server import TOKEN, github_server

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


@dataclass
class GitHubStandin:
    """One repository with one pull request, 7."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[str, Any] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def keep(self, value: object) -> dict[str, str]:
        sha = hashlib.sha1(json.dumps(value).encode(), usedforsecurity=False).hexdigest()
        self.objects[sha] = value
        return {"sha": sha}

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: PLR0911
        parts = urlsplit(path)
        place = parts.path.removeprefix("/repos/example/trip-duration")
        match (method, *place.strip("/").split("/")):
            case ("GET", "issues", "7", "comments"):
                page = int(parse_qs(parts.query)["page"][0]) - 1
                return 200, self.comments[page * 100 : (page + 1) * 100]
            case ("POST", "issues", "7", "comments"):
                return 201, self.add(body["body"], "Bot")
            case ("PATCH", "issues", "comments", number):
                found = next(c for c in self.comments if c["id"] == int(number))
                found |= body
                return 200, found
            case ("POST", "git", "blobs" | "trees" | "commits"):
                return 201, self.keep(body)
            case ("GET", "git", "ref", *name):
                sha = self.refs.get("refs/" + "/".join(name))
                return (200, {"object": {"sha": sha}}) if sha else (404, {"message": "Not Found"})
            case ("POST", "git", "refs"):
                if body["ref"] in self.refs:
                    return 422, {"message": "Reference already exists"}
                self.refs[body["ref"]] = body["sha"]
                return 201, {}
            case ("PATCH", "git", "refs", *name):
                if not body.get("force"):
                    return 422, {"message": "Update is not a fast forward"}
                self.refs["refs/" + "/".join(name)] = body["sha"]
                return 200, {}
        return 404, {"message": "Not Found"}

    def add(self, body: str, kind: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        made = {"id": number, "body": body, "user": {"type": kind}, "html_url": f"https://github.com/#{number}"}
        self.comments.append(made)
        return made


@pytest.fixture
def github() -> Iterator[GitHubStandin]:
    standin = GitHubStandin()

    def answer(token: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        standin.asked.append(f"{method} {path}")
        if token != TOKEN:
            return 401, {"message": "Bad credentials"}
        return standin.answer(method, path, body)

    with github_server(answer) as standin.url:
        yield standin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report.md").write_text(f"{HEADER}\n### 2019-09-10\n\n![Error by hour](error_by_hour.png)\n")
    (tmp_path / "error_by_hour.png").write_bytes(PNG)
    return tmp_path


def put(github: GitHubStandin, folder: Path, token: str = TOKEN) -> str:
    return publish(GitHub(github.url, "example/trip-duration", token), "https://github.com", 7, folder)


def test_the_report_is_one_comment_with_its_pictures(github: GitHubStandin, folder: Path) -> None:
    assert put(github, folder) == "https://github.com/#1"
    commit = github.refs["refs/reports/pr-7"]
    picture = f"https://github.com/example/trip-duration/raw/{commit}/error_by_hour.png"
    assert f"![Error by hour]({picture})" in github.comments[0]["body"]
    (entry,) = github.objects[github.objects[commit]["tree"]]["tree"]
    assert base64.b64decode(github.objects[entry["sha"]]["content"]) == PNG


def test_the_next_push_changes_the_comment_in_place_and_leaves_no_history(github: GitHubStandin, folder: Path) -> None:
    put(github, folder)
    first = github.refs["refs/reports/pr-7"]
    (folder / "error_by_hour.png").write_bytes(PNG + b"changed")
    put(github, folder)
    assert len(github.comments) == 1
    second = github.refs["refs/reports/pr-7"]
    assert first != second
    assert github.objects[second]["parents"] == []
    assert second in github.comments[0]["body"]


def test_a_person_who_quotes_the_report_is_not_overwritten(github: GitHubStandin, folder: Path) -> None:
    quoted = github.add(f"{HEADER}\nlook at this", "User")
    put(github, folder)
    assert quoted["body"] == f"{HEADER}\nlook at this"
    assert len(github.comments) == 2


def test_the_comment_is_found_on_a_later_page(github: GitHubStandin, folder: Path) -> None:
    for number in range(130):
        github.add(f"remark {number}", "User")
    put(github, folder)
    put(github, folder)
    assert len(github.comments) == 131


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.svg", PNG, id="another kind of file"),
        pytest.param("a.png", b"<svg onload=alert(1)>", id="no PNG inside"),
        pytest.param("a b.png", PNG, id="a name that ends a link"),
        pytest.param("large.png", PNG + bytes(2_000_001), id="too large"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_before_anything_is_sent(
    github: GitHubStandin, folder: Path, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CommentError):
        put(github, folder)
    assert github.asked == []


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "token.png").symlink_to("/etc/passwd")
    with pytest.raises(CommentError):
        pictures(folder)


def test_a_report_too_long_for_a_comment_is_cut(folder: Path) -> None:
    (folder / "report.md").write_text("x" * 100_000)
    assert len(text(folder, {})) < 65_536


def test_a_refusal_names_the_request(
    github: GitHubStandin, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "example/trip-duration", "PULL_REQUEST": "7"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_expired")
    assert comment.main([str(folder)]) == 1
    said = capsys.readouterr().err
    assert "GitHub answered 401 to POST /repos/example/trip-duration/git/blobs" in said
    assert "ghs_expired" not in said
