"""Read a request: the call's arguments, the bearer token."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request


async def call_arguments(request: Request) -> dict[str, Any]:
    """A call's arguments, from the query, a form or JSON. Structures in a form are JSON text.

    Raises:
        ValueError: the body is not JSON, or not an object.
    """
    arguments: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        body = json.loads(await request.body() or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the body is no JSON object")
        return arguments | body
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        arguments |= dict(await request.form())
    for name in ("blocks", "attachments", "metadata", "files"):
        if isinstance(arguments.get(name), str):
            try:
                arguments[name] = json.loads(arguments[name])
            except ValueError:
                # Left as text: the check of that part refuses it by name.
                continue
    return arguments


def bearer(request: Request) -> str:
    """The request's bearer token; empty if it has none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
