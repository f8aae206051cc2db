"""A refusal of Slack's is the error of the person who has to act."""

from __future__ import annotations

import pytest

from retrain.alerts.errors import (
    SlackBusyError,
    SlackChannelError,
    SlackContentError,
    SlackError,
    SlackTokenError,
    SlackUnavailableError,
)
from retrain.alerts.watch.slack.refusals import refusal, retry_after


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (200, "token_expired", SlackTokenError),
        (200, "is_archived", SlackChannelError),
        (200, "invalid_blocks", SlackContentError),
        (200, "a_name_of_next_year", SlackContentError),
        (200, "internal_error", SlackUnavailableError),
        (503, "invalid_blocks", SlackUnavailableError),
        pytest.param(
            200, "Received a response in a non-JSON format: <html>", SlackUnavailableError, id="a proxy's page"
        ),
        (429, "anything", SlackBusyError),
        (200, "ratelimited", SlackBusyError),
    ],
)
def test_a_refusal_is_sorted_by_its_name_and_status(status: int, name: str, kind: type[SlackError]) -> None:
    error = refusal("a message to #ours", status, {}, {"error": name})
    assert type(error) is kind
    assert str(error).startswith(f"Slack refused a message to #ours: {name}.")


def test_a_refusal_names_what_slack_says_of_the_blocks() -> None:
    body = {"error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] too long", "[ERROR] no text"]}}
    error = refusal("a message to #ours", 200, {}, body)
    assert str(error) == "Slack refused a message to #ours: invalid_blocks ([ERROR] too long; [ERROR] no text)."


def test_a_refusal_without_a_name_is_one_too() -> None:
    assert "no reason given" in str(refusal("a message to #ours", 200, {}, {}))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"retry-after": ["7"]}, 7),
        ({"retry-after": []}, 1),
        ({}, 1),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "Wed, 18 Mar 2020 06:00:00 GMT"}, 60),
    ],
)
def test_the_wait_of_a_rate_limit_is_read_from_its_header(headers: dict[str, object], seconds: float) -> None:
    assert retry_after(headers) == seconds
    error = refusal("a message to #ours", 429, headers, {"error": "ratelimited"})
    assert isinstance(error, SlackBusyError)
    assert error.seconds == seconds
