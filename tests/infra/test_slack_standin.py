"""The Slack stand-in, driven by Slack's own client over the loopback."""

from __future__ import annotations

import json
import threading
import urllib.error

import pytest
from loopback import SLACK_TOKEN, SlackServer, fetch, read, wait_until
from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f000304"
    "01805a2b6d0d0000000049454e44ae426082"
)

METADATA = {"event_type": "incident", "event_payload": {"key": "trips/data_late"}}


def section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def refused(call) -> tuple[str, list[str]]:
    """Make a call that is refused; returns its error and the details."""
    with pytest.raises(SlackApiError) as caught:
        call()
    answer = caught.value.response
    return answer["error"], answer.get("response_metadata", {}).get("messages", [])


def set_fault(slack: SlackServer, **fault: object) -> None:
    slack.control("faults", fault)


def post(slack: SlackServer, text: str = "root", **parts: object) -> tuple[str, str]:
    """Post to #retrain-alerts; returns the channel's id and the message's time."""
    posted = slack.client().chat_postMessage(channel="#retrain-alerts", text=text, **parts)
    return posted["channel"], posted["ts"]


def texts(slack: SlackServer) -> list[str]:
    """The messages in #retrain-alerts, newest first."""
    channel = slack.client().conversations_list()["channels"][0]["id"]
    return [message["text"] for message in slack.client().conversations_history(channel=channel)["messages"]]


def answers_given(slack: SlackServer, method: str = "chat.postMessage") -> list[str]:
    return [call["answer"] for call in slack.control("requests") if call["method"] == method]


def test_a_message_can_be_posted_read_changed_and_deleted(slack):
    client = slack.client()
    posted = client.chat_postMessage(channel="#retrain-alerts", text="first", blocks=[section("*first*")])
    channel, ts = posted["channel"], posted["ts"]
    client.chat_update(channel=channel, ts=ts, text="second", blocks=[section("*second*")])

    (message,) = client.conversations_history(channel=channel)["messages"]
    assert (message["text"], message["blocks"], message["ts"]) == ("second", [section("*second*")], ts)
    assert "<b>second</b>" in slack.page()
    assert "edited 1 time" in slack.page()

    client.chat_delete(channel=channel, ts=ts)
    assert client.conversations_history(channel=channel)["messages"] == []


def test_replies_are_in_the_thread_and_not_in_the_channel(slack):
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
        pytest.param(
            {"blocks": [section("x" * 2_900)] * 5}, "msg_blocks_too_long", "", id="blocks over 13,000 characters"
        ),
        pytest.param(
            {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2_001}]}]},
            "invalid_blocks",
            "must be less than 2001 characters",
            id="field over 2,000 characters",
        ),
        pytest.param({"text": "x", "metadata": {"event_type": "y"}}, "invalid_metadata_format", "", id="metadata"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_a_message_that_slack_refuses_is_refused_with_slack_s_error(slack, message, error, detail):
    code, details = refused(lambda: slack.client().chat_postMessage(channel="#retrain-alerts", **message))
    assert code == error
    assert detail in " ".join(details)
    assert "No message yet." in slack.page()


def test_the_longest_allowed_message_is_taken(slack):
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}
    blocks = [header, *[section("y" * 3_000)] * 3, *[{"type": "divider"}] * 46]
    assert slack.client().chat_postMessage(channel="#retrain-alerts", text="z" * 40_000, blocks=blocks)["ok"]


def test_a_client_that_retries_gets_through_a_rate_limit(slack):
    set_fault(slack, kind="429", count=2, retry_after=1, method="chat.postMessage")
    patient = slack.client(retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)])
    assert patient.chat_postMessage(channel="#retrain-alerts", text="at last")["ok"]

    assert answers_given(slack) == ["fault: 429", "fault: 429", "ok"]


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


@pytest.mark.parametrize(("fault", "status"), [({"kind": "500"}, 500), ({"kind": "503"}, 503)])
def test_a_server_error_has_slack_s_status(slack, fault, status):
    set_fault(slack, **fault)
    with pytest.raises(SlackApiError) as caught:
        slack.client().chat_postMessage(channel="#retrain-alerts", text="x")
    assert caught.value.response.status_code == status
    assert texts(slack) == []


@pytest.mark.parametrize(("accept", "stored"), [(False, []), (True, ["x"])])
@pytest.mark.parametrize("kind", ["close", "hang", "500"])
def test_a_call_without_an_answer_is_carried_out_only_when_accepted(slack, kind, accept, stored):
    set_fault(slack, kind=kind, accept=accept, method="chat.postMessage", seconds=0.1)
    with pytest.raises((SlackApiError, ConnectionError)):
        slack.client(retry_handlers=[]).chat_postMessage(channel="#retrain-alerts", text="x")
    assert texts(slack) == stored
    assert answers_given(slack) == [f"fault: {kind}{', accepted' if accept else ''}"]


def test_slack_s_client_repeats_a_call_whose_answer_was_lost_and_doubles_the_message(slack):
    set_fault(slack, kind="close", accept=True, method="chat.postMessage")
    slack.client().chat_postMessage(channel="#retrain-alerts", text="x")
    assert texts(slack) == ["x", "x"]


def test_a_call_hangs_until_its_client_gives_up(slack):
    set_fault(slack, kind="hang", method="auth.test")
    with pytest.raises(TimeoutError):
        slack.client(timeout=1).auth_test()
    assert slack.client().auth_test()["ok"]


def test_calls_hang_until_the_faults_are_cleared_and_others_are_served_meanwhile(slack):
    set_fault(slack, kind="hang", method="chat.postMessage")
    outcome: list[BaseException] = []

    def call() -> None:
        try:
            slack.client(retry_handlers=[]).chat_postMessage(channel="#retrain-alerts", text="x")
        except OSError as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: answers_given(slack) == ["fault: hang"], "the call hangs")
    assert not outcome
    assert slack.client().auth_test()["ok"]
    slack.control("faults", method="DELETE")
    caller.join(timeout=20)
    assert isinstance(outcome[0], ConnectionError)


def test_a_fault_without_a_count_lasts_until_it_is_cleared(slack):
    set_fault(slack, kind="error", error="token_expired", count=None)
    client = slack.client()
    for call in (client.auth_test, client.conversations_list, client.auth_test):
        assert refused(call)[0] == "token_expired"
    assert slack.control("faults")["faults"][0]["error"] == "token_expired"
    slack.control("faults", method="DELETE")
    assert client.auth_test()["ok"]


def test_a_fault_can_lose_a_file_s_content_or_only_the_answer_to_it(slack):
    upload = {"channel": post(slack)[0], "content": PNG, "filename": "drift.png"}
    set_fault(slack, kind="503", method="upload")
    with pytest.raises((SlackRequestError, OSError)):
        slack.client().files_upload_v2(**upload)
    set_fault(slack, kind="503", method="upload", accept=True)
    with pytest.raises((SlackRequestError, OSError)):
        slack.client().files_upload_v2(**upload)
    assert [file["state"] for file in slack.control("messages")["files"]] == ["awaiting content", "uploaded"]


@pytest.mark.parametrize("fault", [{"kind": "flood"}, {"kind": "error"}, {"kind": "500", "wait": 3}, [], {}], ids=str)
def test_an_unknown_fault_is_refused(slack, fault):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        slack.control("faults", fault)


def test_a_stopped_stand_in_refuses_connections_and_a_restarted_one_has_kept_everything(tmp_path):
    with SlackServer(tmp_path) as slack:
        channel, ts = post(slack, "kept")
        slack.stop()
        with pytest.raises(OSError, match="refused"):
            slack.client().auth_test()
        slack.start()
        assert texts(slack) == ["kept"]
        later = slack.client().chat_postMessage(channel=channel, text="new")
        assert float(later["ts"]) > float(ts)


@pytest.mark.parametrize(
    ("state", "posting", "updating", "reading"),
    [
        ("is_archived", "is_archived", "is_inactive", None),
        ("not_in_channel", "not_in_channel", "not_in_channel", "not_in_channel"),
    ],
)
def test_each_method_refuses_a_closed_channel_with_slack_s_error(slack, state, posting, updating, reading):
    channel, ts = post(slack)
    slack.control("channels", {"name": "retrain-alerts", "state": state})
    client = slack.client()
    assert refused(lambda: client.chat_postMessage(channel="#retrain-alerts", text="x"))[0] == posting
    assert refused(lambda: client.files_upload_v2(channel=channel, content="x", filename="x.txt"))[0] == posting
    assert refused(lambda: client.chat_update(channel=channel, ts=ts, text="x"))[0] == updating
    if reading:
        assert refused(lambda: client.conversations_history(channel=channel))[0] == reading
    else:
        assert client.conversations_history(channel=channel)["messages"]
    shown = client.conversations_info(channel=channel)["channel"]
    assert (shown["is_archived"], shown["is_member"]) == (state == "is_archived", False)
    slack.control("channels", {"name": "retrain-alerts", "state": ""})
    assert client.chat_update(channel=channel, ts=ts, text="x")["ok"]


@pytest.mark.filterwarnings("ignore:The top-level `text` argument is missing")
def test_an_update_keeps_metadata_and_attachments_and_a_text_alone_replaces_the_blocks(slack):
    metadata = {"event_type": "incident", "event_payload": {"key": "trips/data_late"}}
    channel, ts = post(slack, blocks=[section("*old*")], attachments=[{"text": "kept"}], metadata=metadata)
    client = slack.client()

    def now() -> dict[str, object]:
        return client.conversations_history(channel=channel, include_all_metadata=True)["messages"][0]

    client.chat_update(channel=channel, ts=ts, blocks=[section("*new*")])
    assert (now()["text"], now()["blocks"], now()["metadata"]) == ("root", [section("*new*")], metadata)
    client.chat_update(channel=channel, ts=ts, text="plain")
    assert "blocks" not in now()
    assert now()["attachments"] == [{"text": "kept"}]
    client.chat_update(channel=channel, ts=ts, text="plain", metadata={}, attachments=[])
    assert not {"metadata", "attachments"} & now().keys()


def test_an_update_needs_the_channel_s_id_an_existing_message_and_a_shorter_text(slack):
    client = slack.client()
    channel, ts = post(slack)
    for wanted, error in (
        ({"channel": "#retrain-alerts", "ts": ts, "text": "x"}, "channel_not_found"),
        ({"channel": channel, "ts": "1.000001", "text": "x"}, "message_not_found"),
        ({"channel": channel, "ts": ts, "text": "x" * 4_001}, "msg_too_long"),
        ({"channel": channel, "ts": ts, "text": "&" * 801}, "msg_too_long"),
    ):
        assert refused(lambda wanted=wanted: client.chat_update(**wanted))[0] == error


def test_history_and_threads_can_be_limited_by_time(slack):
    client = slack.client()
    channel, root = post(slack)
    replies = [
        client.chat_postMessage(channel=channel, text=f"reply {n}", thread_ts=root, metadata=METADATA)["ts"]
        for n in range(3)
    ]
    _, last = post(slack, "last")

    def thread(**window: object) -> list[str]:
        answer = client.conversations_replies(channel=channel, ts=root, **window)
        return [message["ts"] for message in answer["messages"]]

    assert thread(oldest=replies[0]) == [root, *replies[1:]], "the root is always there"
    assert thread(oldest=replies[0], latest=replies[1], inclusive=True) == [root, *replies[:2]]
    assert thread(limit=2) == [root, replies[0]]
    pages = client.conversations_replies(channel=channel, ts=root, limit=3, include_all_metadata=True)
    assert [message.get("metadata") for page in pages for message in page["messages"]] == [None] + [METADATA] * 3
    newer = client.conversations_history(channel=channel, oldest=root, inclusive=False)["messages"]
    assert [message["ts"] for message in newer] == [last]
    for wrong in ("oldest", "latest"):
        assert refused(lambda wrong=wrong: thread(**{wrong: "yesterday"}))[0] == f"invalid_ts_{wrong}"


def test_a_block_shows_an_uploaded_picture_and_no_other_file(slack):
    client = slack.client()
    channel, ts = post(slack)
    picture = client.files_upload_v2(content=PNG, filename="drift.png", title="Drift")["file"]
    text = client.files_upload_v2(content="x", filename="drift.txt")["file"]

    def image(**parts: object) -> list[dict[str, object]]:
        return [{"type": "image", "alt_text": "drift", **parts}]

    for file in ({"id": picture["id"]}, {"url": picture["url_private"]}):
        client.chat_update(channel=channel, ts=ts, text="x", blocks=image(slack_file=file))
    assert fetch(f"{slack.url}/files/{picture['id']}/picture")[1] == PNG
    for parts, problem in (
        ({"slack_file": {"id": text["id"]}}, "invalid slack file [json-pointer:/blocks/0/slack_file]"),
        ({"slack_file": {"id": "F0000000000"}}, "invalid slack file"),
        ({"slack_file": {"id": "drift.png"}}, "input must match regex pattern: ^F[A-Z0-9]{8,}$"),
        ({"slack_file": {"id": picture["id"], "url": picture["url_private"]}}, "either an id or a url"),
        ({"slack_file": {"id": picture["id"]}, "alt_text": ""}, "/blocks/0/alt_text"),
        ({"image_url": "http://127.0.0.1:5000/drift.png"}, "downloading image failed"),
    ):
        code, details = refused(
            lambda parts=parts: client.chat_update(channel=channel, ts=ts, blocks=image(**parts), text="x")
        )
        assert code == "invalid_blocks"
        assert problem in details[0]


def test_every_message_and_every_update_can_be_read_back(slack):
    slack.control("clock", {"at": 1_584_425_760})
    channel, ts = post(slack, "late &lt;!channel&gt;", metadata=METADATA)
    slack.control("clock", {"at": 1_584_427_200})
    slack.client().chat_update(channel=channel, ts=ts, text="resolved <!here>")
    slack.client().files_upload_v2(channel=channel, content=PNG, filename="drift.png", thread_ts=ts)

    dump = slack.control("messages")
    (shown,) = dump["channels"][0]["messages"]
    assert [(version["at"], version["text"]) for version in shown["versions"]] == [
        ("1584425760.000000", "late &lt;!channel&gt;"),
        ("1584427200.000000", "resolved <!here>"),
    ]
    assert (shown["ts"], shown["metadata"], shown["pings"]) == ("1584425760.000000", METADATA, ["@here"])
    assert shown["replies"][0]["files"][0]["id"] == dump["files"][0]["id"]
    assert [channel["name"] for channel in dump["channels"]] == ["retrain-alerts", "retrain-digest"]

    slack.control("reset", {})
    dump = slack.control("messages")
    assert (dump["files"], [channel["messages"] for channel in dump["channels"]]) == ([], [[], []])


def webhook(slack, payload: bytes, token: str = SLACK_TOKEN) -> tuple[int, str]:
    """The status and the text with which a webhook answers."""
    try:
        return 200, fetch(f"{slack.url}/services/T0RETRAIN/B0RETRAIN/{token}", data=payload)[1].decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_an_incoming_webhook_posts_to_the_first_channel_whatever_channel_and_name_it_is_sent(slack):
    sent = {"channel": "#elsewhere", "username": "me", "attachments": [{"title": "a worker died"}]}
    assert webhook(slack, json.dumps(sent).encode()) == (200, "ok")
    (shown,) = slack.control("messages")["channels"][0]["messages"]
    assert shown["attachments"][0]["title"] == "a worker died"


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        pytest.param(b"[", (400, "invalid_payload"), id="no JSON"),
        pytest.param(b"[]", (400, "invalid_payload"), id="no object"),
        pytest.param(b'{"message": "hello"}', (400, "missing_text_or_fallback_or_attachments"), id="no text at all"),
        pytest.param(b'{"text": ""}', (400, "no_text"), id="an empty text"),
        pytest.param(
            b'{"attachments": [{"title": "", "text": "", "fallback": "", "footer": "TargetDown"}]}',
            (400, "no_text"),
            id="an empty attachment",
        ),
        pytest.param(b'{"attachments": ["hello"]}', (400, "invalid_attachments"), id="an attachment that is none"),
        pytest.param(b'{"blocks": [{"type": "banner"}]}', (400, "invalid_blocks"), id="an unknown block"),
    ],
)
def test_an_incoming_webhook_refuses_a_message_with_slack_s_words(slack, payload, answer):
    assert webhook(slack, payload) == answer
    assert slack.control("messages")["channels"][0]["messages"] == []


@pytest.mark.parametrize(
    ("state", "answer"), [("is_archived", (410, "channel_is_archived")), ("not_in_channel", (403, "action_prohibited"))]
)
def test_an_incoming_webhook_whose_channel_takes_no_message_says_why(slack, state, answer):
    slack.control("channels", {"name": "retrain-alerts", "state": state})
    assert webhook(slack, b'{"text": "hello"}') == answer


def test_an_incoming_webhook_with_a_wrong_address_is_refused(slack):
    assert webhook(slack, b'{"text": "hello"}', token="other") == (403, "invalid_token")


def test_an_incoming_webhook_can_fail_as_slack_does(slack):
    slack.control("faults", {"kind": "503", "method": "webhook"})
    assert webhook(slack, b'{"text": "hello"}')[0] == 503
    assert webhook(slack, b'{"text": "hello"}') == (200, "ok")


def test_the_controls_need_the_token(slack):
    slack.client().auth_test()
    for path, data in (
        ("requests", None),
        ("messages", None),
        ("faults", b"{}"),
        ("channels", b"{}"),
        ("clock", b"{}"),
        ("reset", b"{}"),
    ):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{slack.url}/control/{path}", data=data)
    assert SLACK_TOKEN not in json.dumps(slack.control("requests"))


def test_a_request_for_a_foreign_host_name_gets_no_answer(slack):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        fetch(f"{slack.url}/messages.json", host="attacker.example")


def test_every_answer_names_the_token_s_scopes_and_a_call_without_its_own_is_refused_by_name(slack):
    client = slack.client()
    assert client.auth_test().headers["x-oauth-scopes"].split(",") == [
        "channels:history",
        "channels:read",
        "chat:write",
        "files:write",
        "groups:history",
        "groups:read",
    ]
    slack.control("scopes", {"scopes": ["chat:write", "channels:read"]})
    with pytest.raises(SlackApiError) as caught:
        client.conversations_list(types="public_channel,private_channel")
    answer = caught.value.response
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "groups:read",
        "chat:write,channels:read",
    )
    assert answer.headers["x-oauth-scopes"] == "chat:write,channels:read"
    assert client.conversations_list(types="public_channel")["ok"]


def test_a_webhook_needs_none_of_the_token_s_scopes(slack):
    slack.control("scopes", {"scopes": []})
    address = f"{slack.url}/services/T0RETRAIN/B0RETRAIN/{SLACK_TOKEN}"
    assert fetch(address, data=b'{"text": "an alert"}')[1] == b"ok"
    assert refused(slack.client().conversations_list) == ("missing_scope", [])
