"""The pages of the runbooks."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from retrain.alerts.kinds import Kind
from retrain.alerts.watch.page.html_page import HEADERS, html_list, html_page

_PICTURE = re.compile(r"[A-Za-z0-9_-]+\.(?:png|jpg|svg)")


class RunbookPages:
    """Shows the Markdown files of a folder: one per alert kind, with pictures in `pictures/`. No other file is ever read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def routes(self) -> list[Route]:
        return [
            Route("/runbooks", self.index),
            Route("/runbooks/pictures/{name}", self.picture),
            Route("/runbooks/{kind}", self.runbook),
        ]

    def index(self, _: Request) -> Response:
        there = [kind for kind in Kind if (self._folder / f"{kind}.md").is_file()]
        listed = html_list(f'<a href="runbooks/{kind}">{kind}</a>' for kind in there)
        return html_page("Runbooks", f"<h1>Runbooks</h1>{listed}", menu={"All alerts": "./"})

    def runbook(self, request: Request) -> Response:
        kind = request.path_params["kind"].removesuffix(".md")
        path = self._folder / f"{kind}.md"
        if kind not in set(Kind) or not path.is_file():
            return PlainTextResponse("There is no such runbook.", 404, headers=HEADERS)
        # Its links and pictures are relative: in the repository they lie beside it, as they do here.
        body = f'<div class="prose">{self._markdown.render(path.read_text("utf-8"))}</div>'
        return html_page(kind, body, root="../", menu={"All alerts": "../", "Runbooks": "../runbooks"})

    def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self._folder / "pictures" / name
        if not _PICTURE.fullmatch(name) or not path.is_file():
            return PlainTextResponse("There is no such picture.", 404, headers=HEADERS)
        return FileResponse(path, headers=HEADERS)
