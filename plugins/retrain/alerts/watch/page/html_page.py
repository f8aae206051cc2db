"""HTML that all pages of the watch have in common."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence

from starlette.responses import HTMLResponse, Response

from retrain.alerts.watch.page.style import STYLE

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    # The only style that a browser applies is the page's own, by its hash; there are no scripts and no forms.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0a58b0"/>'
    '<path d="M16 5a7 7 0 0 0-7 7v6l-3 4v1h20v-1l-3-4v-6a7 7 0 0 0-7-7zm-3 20a3 3 0 0 0 6 0z" fill="#fff"/></svg>'
)


def html_page(
    title: str,
    body: str,
    *,
    root: str = "./",
    menu: Mapping[str, str] | None = None,
    footer: str = "",
    reload: int | None = None,
) -> Response:
    """A page with the watch's header and style.

    Args:
        title: text, for the browser's tab.
        body: HTML; it begins with the page's only h1.
        root: the address of the page for people, relative to this page: all links are relative, for proxies with a path prefix.
        footer: HTML.
        menu: the header's links: label (text) to address.
        reload: after so many seconds the browser loads the page again.
    """
    items = "".join(
        f'<li><a href="{html.escape(address)}">{html.escape(label)}</a></li>'
        for label, address in (menu or {"Runbooks": f"{root}runbooks"}).items()
    )
    again = f'<meta http-equiv="refresh" content="{reload}">' if reload else ""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="{root}icon.svg">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header><p class="site"><a href="{root}">Alerts</a></p><nav aria-label="Sections"><ul>{items}</ul></nav></header>'
        f'<main id="main">{body}</main>{f"<footer>{footer}</footer>" if footer else ""}</body></html>',
        headers=HEADERS,
    )


def html_list(items: Iterable[str]) -> str:
    """A list of HTML items."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def reasons(found: Mapping[str, str]) -> str:
    """A list of places, each with its reason; both are text."""
    return html_list(f"<strong>{html.escape(place)}</strong>: {html.escape(why)}" for place, why in found.items())


def section(anchor: str, title: str, content: str, *, count: int | None = None) -> str:
    """A section with a heading that screen readers list; `title` is text, `content` is HTML."""
    counted = "" if count is None else f' <span class="count">({count})</span>'
    heading = f'<h2 id="{anchor}">{html.escape(title)}{counted}</h2>'
    return f'<section aria-labelledby="{anchor}">{heading}{content}</section>'


def empty(sentence: str) -> str:
    """A section that has nothing to show says so; `sentence` is text."""
    return f'<p class="empty">{html.escape(sentence)}</p>'


def faint(content: str) -> str:
    """A paragraph in small print; `content` is HTML."""
    return f'<p class="faint">{content}</p>'


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose rows are cards on a phone. Columns are text, cells HTML; the first cell of a row is its heading.

    The roles are named because a browser drops a table's meaning when its parts are no longer laid out as a table.
    """
    head = "".join(f'<th scope="col" role="columnheader">{html.escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr role="row"><th scope="row" role="rowheader">{cells[0]}</th>'
        + "".join(
            f'<td role="cell" data-label="{html.escape(column)}">{cell}</td>'
            for column, cell in zip(columns[1:], cells[1:], strict=True)
        )
        + "</tr>"
        for cells in rows
    )
    return (
        f'<table class="stacks" role="table" aria-label="{html.escape(caption)}"><thead role="rowgroup"><tr role="row">{head}</tr>'
        f'</thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def badge(text: str, tone: str) -> str:
    """A short text in a colour; `text` is text."""
    return f'<span class="badge {tone}">{html.escape(text)}</span>'
