"""Posting to Slack: patient with a busy server, brief with a dead one, silent about the token."""

from __future__ import annotations

import json

import pytest
from live_servers import fetch, free_ports
from settings import SLACK_CHANNEL

from retrain import slack
from retrain.alerts import Message
from retrain.connections import SlackAccess, slack_access
from retrain.errors import SlackError

MESSAGE = Message(
    "2 features drifted on 2020-03-14", [{"type": "section", "text": {"type": "mrkdwn", "text": "*drift*"}}]
)


@pytest.fixture
def server(slack_server):
    """The stand-in without faults, before and after."""
    control(slack_server, "faults", method="DELETE")
    yield slack_server
    control(slack_server, "faults", method="DELETE")


def control(stack, what, **options):
    return fetch(f"{stack.slack_url}/control/{what}", token=stack.secrets.slack_token, **options)


def answers_given(stack):
    return [request["answer"] for request in json.loads(control(stack, "requests"))]


def received(stack):
    (channel,) = json.loads(fetch(f"{stack.slack_url}/messages.json"))["channels"]
    return {message["ts"]: message for message in channel["messages"]}


def test_a_message_arrives_with_text_and_blocks_and_gives_its_timestamp(server):
    ts = slack.post(slack_access("slack_default"), SLACK_CHANNEL, MESSAGE)
    message = received(server)[ts]
    assert (message["text"], message["blocks"]) == (MESSAGE.text, MESSAGE.blocks)


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        pytest.param({"kind": "429", "count": 1, "retry_after": 1}, ["fault: 429", "ok"], id="429 with Retry-After"),
        pytest.param({"kind": "500", "count": 2}, ["fault: 500", "fault: 500", "ok"], id="500 twice"),
    ],
)
def test_a_message_is_posted_once_after_a_busy_server_has_recovered(server, fault, answers):
    before = received(server)
    control(server, "faults", data=fault)
    ts = slack.post(slack_access("slack_default"), SLACK_CHANNEL, MESSAGE)
    assert answers_given(server)[-len(answers) :] == answers
    assert received(server).keys() - before.keys() == {ts}


def test_a_server_that_stays_busy_is_given_up_after_a_few_tries(server, monkeypatch):
    monkeypatch.setattr(slack, "_RETRIES", 1)
    control(server, "faults", data={"kind": "500", "count": 50})
    with pytest.raises(SlackError):
        slack.post(slack_access("slack_default"), SLACK_CHANNEL, MESSAGE)
    assert answers_given(server)[-2:] == ["fault: 500"] * 2


@pytest.mark.timeout(30)
def test_a_server_that_hangs_is_given_up_in_bounded_time(server, monkeypatch):
    monkeypatch.setattr(slack, "_TIMEOUT_SECONDS", 1)
    control(server, "faults", data={"kind": "hang", "count": 5})
    with pytest.raises(SlackError, match=r"did not answer .*was not sent"):
        slack.post(slack_access("slack_default"), SLACK_CHANNEL, MESSAGE)


def test_a_server_that_is_down_is_a_slack_error_without_the_token(monkeypatch):
    monkeypatch.setattr(slack, "_RETRIES", 0)
    access = SlackAccess("xoxb-hidden-token", f"http://127.0.0.1:{free_ports(1)[0]}/api/")
    with pytest.raises(SlackError, match="did not answer") as caught:
        slack.post(access, SLACK_CHANNEL, MESSAGE)
    assert "xoxb-hidden-token" not in told(caught.value)


@pytest.mark.parametrize("token", ["xoxb-hidden-token", "xoxb-hidden-token\n"])
def test_a_refused_token_is_named_by_slack_s_own_error_and_never_shown(server, caplog, token):
    access = SlackAccess(token, f"{server.slack_url}/api/")
    with pytest.raises(SlackError, match="invalid_auth") as caught:
        slack.post(access, SLACK_CHANNEL, MESSAGE)
    assert "hidden" not in told(caught.value) + repr(access) + str(access) + caplog.text


@pytest.mark.parametrize("token", ["xoxb-hidden\n-token", "xoxb-hidden-tök\u2026", "xoxb hidden"])
def test_a_token_that_fits_in_no_header_is_refused_before_anything_could_quote_it(server, caplog, token):
    with pytest.raises(SlackError, match="Set the connection's password again") as caught:
        slack.post(SlackAccess(token, f"{server.slack_url}/api/"), SLACK_CHANNEL, MESSAGE)
    assert "hidden" not in told(caught.value) + caplog.text


def test_an_unknown_channel_is_named_with_slack_s_own_error(server):
    with pytest.raises(SlackError, match="#elsewhere: channel_not_found") as caught:
        slack.post(slack_access("slack_default"), "#elsewhere", MESSAGE)
    assert server.secrets.slack_token not in told(caught.value)


@pytest.mark.usefixtures("server")
def test_a_message_that_slack_would_not_take_is_refused_by_slack_s_own_error():
    broken = Message("x", [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}])
    with pytest.raises(SlackError, match="invalid_blocks"):
        slack.post(slack_access("slack_default"), SLACK_CHANNEL, broken)


def told(error):
    """All that a log could show of an error and its causes."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return " ".join(f"{one} {one!r}" for one in chain)
