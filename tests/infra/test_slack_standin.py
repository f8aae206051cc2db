"""The Slack stand-in, driven by Slack's own client over the loopback."""

from __future__ import annotations

import json
import threading
import urllib.error

import pytest
from loopback import SLACK_TOKEN, SlackServer, fetch, free_ports, read, start_slack, wait_until
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f000304"
    "01805a2b6d0d0000000049454e44ae426082"
)


def section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def refused(call) -> tuple[str, list[str]]:
    """Make a call that Slack refuses; give its error and the details."""
    with pytest.raises(SlackApiError) as caught:
        call()
    answer = caught.value.response
    return answer["error"], answer.get("response_metadata", {}).get("messages", [])


def set_fault(slack: SlackServer, **fault: object) -> None:
    fetch(f"{slack.url}/control/faults", token=SLACK_TOKEN, data=json.dumps(fault).encode())


def clear_faults(slack: SlackServer) -> None:
    fetch(f"{slack.url}/control/faults", token=SLACK_TOKEN, method="DELETE")


def request_log(slack: SlackServer) -> list[dict[str, object]]:
    return json.loads(fetch(f"{slack.url}/control/requests", token=SLACK_TOKEN)[1])


def test_a_message_can_be_posted_read_changed_and_deleted(slack):
    client = slack.client()
    posted = client.chat_postMessage(channel="#retrain-alerts", text="first", blocks=[section("*first*")])
    channel, ts = posted["channel"], posted["ts"]
    client.chat_update(channel=channel, ts=ts, text="second", blocks=[section("*second*")])

    (message,) = client.conversations_history(channel=channel)["messages"]
    assert (message["text"], message["blocks"], message["ts"]) == ("second", [section("*second*")], ts)
    assert "<b>second</b>" in slack.page()
    assert "(edited)" in slack.page()

    client.chat_delete(channel=channel, ts=ts)
    assert client.conversations_history(channel=channel)["messages"] == []


def test_replies_stand_in_the_thread_and_not_in_the_channel(slack):
    client = slack.client()
    root = client.chat_postMessage(channel="#retrain-alerts", text="root")
    channel, ts = root["channel"], root["ts"]
    client.chat_postMessage(channel=channel, text="quiet reply", thread_ts=ts)
    client.chat_postMessage(channel=channel, text="loud reply", thread_ts=ts, reply_broadcast=True)

    thread = client.conversations_replies(channel=channel, ts=ts)["messages"]
    assert [message["text"] for message in thread] == ["root", "quiet reply", "loud reply"]
    assert thread[0]["reply_count"] == 2
    history = client.conversations_history(channel=channel)["messages"]
    assert [message["text"] for message in history] == ["loud reply", "root"]
    (shown,) = json.loads(read(f"{slack.url}/messages.json"))["channels"][0]["messages"]
    assert [reply["text"] for reply in shown["replies"]] == ["quiet reply", "loud reply"]
    assert refused(lambda: client.chat_postMessage(channel=channel, text="x", thread_ts="1.000001"))[0] == (
        "thread_not_found"
    )


def test_history_comes_in_pages_and_metadata_only_when_asked_for(slack):
    client = slack.client()
    for number in range(5):
        metadata = {"event_type": "drift", "event_payload": {"number": number}}
        channel = client.chat_postMessage(channel="retrain-alerts", text=f"message {number}", metadata=metadata)[
            "channel"
        ]

    pages = client.conversations_history(channel=channel, limit=2, include_all_metadata=True)
    messages = [message for page in pages for message in page["messages"]]
    assert [message["metadata"]["event_payload"]["number"] for message in messages] == [4, 3, 2, 1, 0]
    assert "metadata" not in client.conversations_history(channel=channel)["messages"][0]


def test_a_picture_uploaded_to_a_thread_is_shown_there(slack, tmp_path):
    client = slack.client()
    root = client.chat_postMessage(channel="#retrain-alerts", text="root")
    picture = tmp_path / "drift.png"
    picture.write_bytes(PNG)
    answer = client.files_upload_v2(
        channel=root["channel"], file=str(picture), title="Drift", initial_comment="see", thread_ts=root["ts"]
    )

    file = answer["file"]
    assert f'<img src="/files/{file["id"]}/drift.png"' in slack.page()
    assert fetch(file["url_private"])[1] == PNG
    reply = client.conversations_replies(channel=root["channel"], ts=root["ts"])["messages"][1]
    assert (reply["text"], reply["files"][0]["title"]) == ("see", "Drift")


def test_a_permalink_leads_to_the_message_on_the_page(slack):
    client = slack.client()
    posted = client.chat_postMessage(channel="#retrain-digest", text="find me")
    link = client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])["permalink"]
    address, content = fetch(link)
    assert f'id="p{posted["ts"].replace(".", "")}"' in content.decode()
    assert address.startswith(f"{slack.url}/?channel=")


def test_channels_are_listed_and_an_unknown_one_is_refused(slack):
    client = slack.client()
    names = [channel["name"] for channel in client.conversations_list()["channels"]]
    assert names == ["retrain-alerts", "retrain-digest"]
    for wanted in ("#elsewhere", "", "C0000000000"):
        assert refused(lambda channel=wanted: client.chat_postMessage(channel=channel, text="x"))[0] == (
            "channel_not_found"
        )
    # As in Slack, only chat.postMessage knows a channel by its name.
    assert refused(lambda: client.conversations_history(channel="retrain-alerts"))[0] == "channel_not_found"


@pytest.mark.parametrize(("token", "error"), [("xoxb-wrong", "invalid_auth"), ("", "not_authed")])
def test_a_wrong_token_is_refused(slack, token, error):
    assert refused(slack.client(token).auth_test)[0] == error
    assert slack.client().auth_test()["team"]


@pytest.mark.parametrize(
    ("message", "error", "detail"),
    [
        pytest.param({}, "no_text", "", id="nothing to say"),
        pytest.param({"text": "x" * 40_001}, "msg_too_long", "", id="text over 40,000 characters"),
        pytest.param(
            {"blocks": [section("x")] * 51}, "invalid_blocks", "no more than 50 items allowed", id="51 blocks"
        ),
        pytest.param(
            {"blocks": [section("x" * 3_001)]},
            "invalid_blocks",
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
            id="text object over 3,000 characters",
        ),
        pytest.param(
            {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            "invalid_blocks",
            "must be less than 151 characters",
            id="header over 150 characters",
        ),
        pytest.param(
            {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
            "invalid_blocks",
            "unsupported type: mrkdwn",
            id="markup in a header",
        ),
        pytest.param(
            {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]},
            "invalid_blocks",
            "no more than 10 items allowed",
            id="11 fields",
        ),
        pytest.param({"blocks": [{"type": "table"}]}, "invalid_blocks", "unsupported type: table", id="unknown block"),
        pytest.param({"blocks": "nonsense"}, "invalid_blocks_format", "", id="blocks that are no list"),
        pytest.param(
            {"text": "x", "attachments": [{"blocks": [section("")]}]},
            "invalid_blocks",
            "/attachments/0/blocks/0/text/text",
            id="empty text in an attachment",
        ),
        pytest.param({"text": "x", "metadata": {"event_type": "y"}}, "invalid_metadata_format", "", id="metadata"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_what_slack_refuses_is_refused_by_the_same_name(slack, message, error, detail):
    code, details = refused(lambda: slack.client().chat_postMessage(channel="#retrain-alerts", **message))
    assert code == error
    assert detail in " ".join(details)
    assert "No message yet." in slack.page()


def test_the_longest_allowed_message_is_taken(slack):
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}] + [section("y" * 3_000)] * 49
    assert slack.client().chat_postMessage(channel="#retrain-alerts", text="z" * 40_000, blocks=blocks)["ok"]


def test_a_client_that_retries_gets_through_a_rate_limit(slack):
    set_fault(slack, kind="429", count=2, retry_after=1, method="chat.postMessage")
    patient = slack.client(retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)])
    assert patient.chat_postMessage(channel="#retrain-alerts", text="at last")["ok"]

    calls = [call["answer"] for call in request_log(slack) if call["method"] == "chat.postMessage"]
    assert calls == ["fault: 429", "fault: 429", "ok"]


def test_a_client_without_retries_sees_the_rate_limit_and_the_wait(slack):
    set_fault(slack, kind="429", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        slack.client().chat_postMessage(channel="#retrain-alerts", text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"


def test_a_server_error_passes_with_a_retry(slack):
    set_fault(slack, kind="500", count=1)
    client = slack.client(retry_handlers=[ServerErrorRetryHandler(max_retry_count=1)])
    assert client.chat_postMessage(channel="#retrain-alerts", text="x")["ok"]


def test_a_call_can_be_made_to_hang_and_is_let_go(slack):
    set_fault(slack, kind="hang")
    outcome: list[object] = []

    def call() -> None:
        try:
            slack.client().chat_postMessage(channel="#retrain-alerts", text="x")
        except SlackApiError as error:
            outcome.append(error.response.status_code)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: any(call["answer"] == "fault: hang" for call in request_log(slack)), "the call hangs")
    assert not outcome
    assert slack.client().auth_test()["ok"], "others are served meanwhile"
    clear_faults(slack)
    caller.join(timeout=20)
    assert outcome == [500]


def test_the_log_of_requests_and_the_switch_for_faults_need_the_token(slack):
    for path, data in (("requests", None), ("faults", b"{}")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{slack.url}/control/{path}", data=data)
    assert SLACK_TOKEN not in json.dumps(request_log(slack))


def test_a_foreign_host_name_gets_no_answer(slack):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        fetch(f"{slack.url}/messages.json", host="attacker.example")


def test_messages_survive_a_restart(tmp_path):
    port = free_ports(1)[0]
    first = start_slack(tmp_path, port)
    posted = first.client().chat_postMessage(channel="#retrain-alerts", text="kept")
    first.process.kill()
    first.process.wait(timeout=20)
    second = start_slack(tmp_path, port)
    try:
        (message,) = second.client().conversations_history(channel=posted["channel"])["messages"]
        assert message["text"] == "kept"
        later = second.client().chat_postMessage(channel="#retrain-alerts", text="new")
        assert float(later["ts"]) > float(posted["ts"])
    finally:
        second.process.terminate()
        second.process.wait(timeout=20)
