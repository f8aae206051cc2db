"""HTML that all pages of the watch have in common."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

from starlette.responses import HTMLResponse, Response

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem; overflow-wrap: anywhere; color: #1d1c1d; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } img { max-width: 100%; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { border: 1px solid #ccc; padding: .3rem .5rem; text-align: left; vertical-align: top; }
pre { background: #f4f4f4; overflow-x: auto; padding: .6rem; } code { background: #f4f4f4; } pre code { background: none; }
blockquote { border-left: 4px solid #ccc; margin-left: 0; padding-left: 1rem; } li { margin: .3rem 0; } small { color: #555; }
.well { color: #1a6b35; } .unwell { color: #a3131b; }
"""


def html_page(title: str, body: str, *, heading: bool = True) -> Response:
    """A page. `title` is text, `body` is HTML."""
    head = f"<h1>{html.escape(title)}</h1>" if heading else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{head}{body}</body></html>",
        headers=HEADERS,
    )


def html_list(items: Iterable[str]) -> str:
    """A list of HTML items."""
    rows = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{rows}</ul>" if rows else "<p>None.</p>"


def reasons(found: Mapping[str, str]) -> str:
    """A list of places, each with its reason; both are text."""
    return html_list(f"<b>{html.escape(place)}</b>: {html.escape(why)}" for place, why in found.items())
