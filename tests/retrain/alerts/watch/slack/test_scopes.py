"""The table of scopes has the methods that the client calls, and the scopes are those of the channels' kinds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from retrain.alerts.errors import SlackTokenError
from retrain.alerts.watch.slack import client
from retrain.alerts.watch.slack.refusals import refusal
from retrain.alerts.watch.slack.scopes import SCOPES, difference, granted, needed

PUBLIC = {"channels:history", "channels:read", "chat:write", "files:write", "groups:read"}
# A function of slack_sdk's that is not one method of the Web API.
SEVERAL = {"files_upload_v2": {"files.getUploadURLExternal", "files.completeUploadExternal"}}


def methods_called() -> set[str]:
    """The methods of the Web API that the client calls: calls on what `_client()` returns."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(Path(client.__file__).read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            opened = node.value.func
            if isinstance(opened, ast.Attribute) and opened.attr == "_client":
                found |= SEVERAL.get(node.attr, {_web_api_name(node.attr)})
    return found


def _web_api_name(function: str) -> str:
    """`conversations_history` is conversations.history, `chat_postMessage` chat.postMessage."""
    family, _, method = function.partition("_")
    return f"{family}.{method}"


def test_the_table_has_the_methods_that_the_client_calls_and_no_others() -> None:
    assert methods_called() == set(SCOPES)


def test_a_private_channel_needs_the_scopes_of_groups_and_a_public_one_does_not() -> None:
    assert needed([False]) == PUBLIC
    assert needed([True]) == PUBLIC - {"channels:history"} | {"groups:history"}
    assert needed([True, False]) == PUBLIC | {"groups:history"}


def test_what_is_missing_and_what_nothing_uses_are_named() -> None:
    found = difference({*PUBLIC, "users:read", "incoming-webhook", "groups:history"} - {"files:write"}, [False])
    assert found.missing == ("files:write",)
    assert found.unused == ("users:read",)


@pytest.mark.parametrize("name", ["x-oauth-scopes", "X-OAuth-Scopes"])
def test_the_scopes_are_read_from_the_header_of_an_answer(name: str) -> None:
    assert granted({name: "chat:write, files:write"}) == {"chat:write", "files:write"}
    assert granted({name: ""}) == frozenset()
    assert granted({}) is None


def test_a_refusal_for_a_missing_scope_names_it() -> None:
    body = {"error": "missing_scope", "needed": "groups:read", "provided": "chat:write"}
    error = refusal("the list of channels", 200, {}, body)
    assert type(error) is SlackTokenError
    assert "it needs the scope groups:read, the token has chat:write" in str(error)
