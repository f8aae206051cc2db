"""Every relative link of every document leads to a file, and to a heading where it names one."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(
        path for folder in ("infra", "tests") for path in (ROOT / folder).rglob("*.md") if ".venv" not in path.parts
    ),
]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


class Pictures(HTMLParser):
    """Collects the targets of `href` and `src` in HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if name in {"href", "src"} and value]


@cache
def tokens(document: Path) -> list[Token]:
    """The document's tokens in order; the tokens of inline text follow the block that holds them."""
    blocks = MarkdownIt("commonmark").enable("table").parse(document.read_text())
    return [token for block in blocks for token in (block, *(block.children or []))]


def links(document: Path) -> list[str]:
    html = Pictures()
    targets = []
    for token in tokens(document):
        if token.type in {"html_block", "html_inline"}:
            html.feed(token.content)
        targets += [str(token.attrs[name]) for name in ("href", "src") if name in token.attrs]
    return targets + html.targets


@cache
def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the document's headings: lower case, hyphens for spaces, no punctuation."""
    found: dict[str, int] = {}
    for heading, text in zip(tokens(document), tokens(document)[1:], strict=False):
        if heading.type == "heading_open":
            words = "".join(each.content for each in text.children or [])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {slug if not n else f"{slug}-{n}" for slug, count in found.items() for n in range(count + 1)}


@each_document
def test_every_relative_link_leads_to_a_file_of_the_repository_and_to_its_heading(document: Path) -> None:
    for target in links(document):
        address = urlsplit(target)
        if address.scheme or address.netloc:
            continue
        file = (document.parent / unquote(address.path)).resolve() if address.path else document
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        if address.fragment:
            assert file.suffix == ".md", target
            assert address.fragment in anchors(file), target


def test_links_pictures_and_headings_are_found_in_the_readme() -> None:
    readme = ROOT / "README.md"
    assert "dags/pipelines/trip_duration.yaml" in links(readme)
    assert "infra/pictures/grid.png" in links(readme)
    assert "infra/runbooks/pictures/drift_detected.png" in links(readme), "a picture in HTML"
    assert "what-runs-when-and-what-if-it-fails" in anchors(readme)


def test_every_page_that_a_message_or_a_comment_of_the_code_names_exists() -> None:
    sources = [path for top in ("plugins", "dags", "pipeline", "infra", "tests") for path in (ROOT / top).rglob("*.py")]
    named = {
        (page, str(path.relative_to(ROOT)))
        for path in sources
        if ".venv" not in path.parts
        for page in re.findall(r"infra/[\w/-]+\.md", path.read_text())
    }
    assert ("infra/docs/pipeline-file.md", "plugins/retrain/doctor/checks.py") in named
    assert [each for each in sorted(named) if not (ROOT / each[0]).is_file()] == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    open_ends = [ROOT / "README.md"]
    while open_ends:
        document = open_ends.pop()
        reached.add(document)
        found = {(document.parent / urlsplit(each).path).resolve() for each in links(document) if "://" not in each}
        open_ends += [path for path in found if path.suffix == ".md" and path.is_file() and path not in reached]
    assert {path for path in DOCUMENTS if path.is_relative_to(ROOT / "infra")} <= reached
