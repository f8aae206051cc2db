"""How the stand-in's page shows a message: its markup and blocks, but no HTML that the message contains."""

from __future__ import annotations

import re
import urllib.error

import pytest
from browser import ScreenshotError
from loopback import read
from message_picture import picture_message
from PIL import Image
from slack_standin.mrkdwn import pings, to_html, to_plain
from slack_standin.page import render_message, render_page

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def message(**parts: object) -> dict[str, object]:
    return {"ts": "1584180000.000100", "text": "", "bot_profile": {"name": "Retrain"}, **parts}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* _italic_ ~gone~", "<b>bold</b> <i>italic</i> <s>gone</s>"),
        ("`a *b* < c`", "<code>a *b* &lt; c</code>"),
        ("```x\n*y*```", "<pre>x\n*y*</pre>"),
        ("<https://a.b/c?d=1&amp;e=2|the run>", '<a href="https://a.b/c?d=1&amp;e=2" rel="noreferrer">the run</a>'),
        ("*<https://a.b|the run>*", '<b><a href="https://a.b" rel="noreferrer">the run</a></b>'),
        ("see https://a.b/c.", 'see <a href="https://a.b/c" rel="noreferrer">https://a.b/c</a>.'),
        (
            "<!channel> <!here> <@U1>",
            " ".join(f'<span class="mention ping">@{x}</span>' for x in ("channel", "here", "U1")),
        ),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2"),
        ("&lt;b&gt; &quot;", "&lt;b&gt; &amp;quot;"),
        ("snake_case_name 2*3*4 a~b~c", "snake_case_name 2*3*4 a~b~c"),
        ("> quoted\nafter", "<blockquote>quoted</blockquote>after"),
        ("one\ntwo", "one<br>two"),
        (":warning: :no_such_emoji:", "⚠️ :no_such_emoji:"),
        ("<javascript:alert(1)|click>", "&lt;javascript:alert(1)|click&gt;"),
        ("\ue0000\ue001 `x`", "0 <code>x</code>"),
    ],
)
def test_text_is_rendered_as_slack_renders_it(text, shown):
    assert to_html(text) == shown


def test_a_notification_shows_the_text_without_its_markup():
    assert to_plain(":warning: *2 features* drifted, <https://a.b|run> `x` &lt;1") == "⚠️ 2 features drifted, run x <1"
    assert to_plain("<!here> <b> is no markup") == "@here <b> is no markup"


@pytest.mark.parametrize(
    "parts",
    [
        {"text": ATTACK},
        {"text": f"```{ATTACK}``` `{ATTACK}` *{ATTACK}*"},
        {"text": f"<https://a.b/{ATTACK}|{ATTACK}>"},
        {"bot_profile": {"name": ATTACK}, "icons": {"emoji": ATTACK}},
        {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": ATTACK}}]},
        {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": ATTACK}]}]},
        {"blocks": [{"type": "image", "image_url": f'x"{ATTACK}', "alt_text": ATTACK}]},
        {
            "blocks": [
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "style": ATTACK,
                            "url": f"https://{ATTACK}",
                            "text": {"type": "plain_text", "text": ATTACK},
                        }
                    ],
                }
            ]
        },
        {
            "blocks": [
                {"type": "rich_text", "elements": [{"elements": [{"type": "link", "url": ATTACK, "text": ATTACK}]}]}
            ]
        },
        {"blocks": [{"type": ATTACK, "text": ATTACK}]},
        {"attachments": [{"color": f"red;{ATTACK}", "title": ATTACK, "title_link": ATTACK, "text": ATTACK}]},
        {"attachments": [{"fields": [{"title": ATTACK, "value": ATTACK}], "footer": ATTACK, "pretext": ATTACK}]},
        {
            "files": [
                {"id": "F1", "name": ATTACK, "title": ATTACK, "mimetype": "image/png", "size": 1, "alt_txt": ATTACK}
            ]
        },
        {"reactions": [{"name": ATTACK, "count": 1}]},
    ],
)
def test_html_in_a_message_is_shown_as_text(parts):
    page = render_page("retrain-alerts", ["retrain-alerts"], [message(**parts)], {}, 1)
    assert page.count("<script") == 1, "the page's own"
    for tag in re.findall(r"<[^>]*>", page):
        assert "onerror" not in re.sub(r'"[^"]*"', "", tag), tag
        assert not re.search(r'(href|src)="(?!https?://|/|data:,")', tag), tag


def test_blocks_replace_the_text_which_only_the_notification_shows():
    shown = message(
        text="2 features drifted", blocks=[{"type": "header", "text": {"type": "plain_text", "text": "Drift"}}]
    )
    page = render_page("retrain-alerts", ["retrain-alerts"], [shown], {}, 1)
    stream, _, phone = page.partition("On a locked phone")
    assert "<h3>Drift</h3>" in stream
    assert "2 features drifted" not in stream
    assert "2 features drifted" in phone


def test_the_notification_of_a_message_without_text_is_its_attachment_s_fallback():
    shown = message(attachments=[{"title": "Redis is down", "text": "long", "fallback": "Redis does not answer"}])
    _, _, phone = render_page("retrain-alerts", ["retrain-alerts"], [shown], {}, 1).partition("On a locked phone")
    assert "Redis does not answer" in phone
    assert "long" not in phone


def test_fields_buttons_pictures_and_the_colour_of_an_attachment_are_shown():
    shown = render_message(
        message(
            blocks=[
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "*PSI*\n0.41 (limit 0.20)"}]},
                {"type": "divider"},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "release `v1`"}]},
                {
                    "type": "actions",
                    "elements": [
                        {"type": "button", "url": "http://127.0.0.1/log", "text": {"type": "plain_text", "text": "Log"}}
                    ],
                },
                {"type": "image", "image_url": "http://127.0.0.1/drift.png", "alt_text": "drift"},
            ],
            attachments=[{"color": "danger", "text": "late"}],
        )
    )
    assert "<b>PSI</b><br>0.41 (limit 0.20)" in shown
    assert "<hr>" in shown
    assert '<a class="button " href="http://127.0.0.1/log" rel="noreferrer">Log</a>' in shown
    assert '<img src="http://127.0.0.1/drift.png" alt="drift">' in shown
    assert "border-color:#a30200" in shown


@pytest.mark.parametrize(
    ("parts", "called"),
    [
        ({"text": "<!channel> <!here> <!everyone> <@U1|ann> <!subteam^S1|@on-call>"}, 5),
        ({"text": "the code `<!channel>` calls too"}, 1),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "<!here>"}]}]}, 1),
        ({"attachments": [{"fields": [{"title": "who", "value": "<@U1>"}]}]}, 1),
        ({"blocks": [{"type": "rich_text", "elements": [{"elements": [{"type": "broadcast", "range": "here"}]}]}]}, 1),
        ({"text": "station &lt;!channel&gt;, @channel, <#C1|retrain-alerts>, <https://a.b|@here>"}, 0),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "<!channel>"}}]}, 0),
    ],
)
def test_a_mention_is_marked_and_text_that_looks_like_one_is_not(parts, called):
    assert len(pings(message(**parts))) == called
    assert render_message(message(**parts)).count('class="mention ping"') == called


def test_an_escaped_mention_is_shown_as_text():
    assert "<!channel>" not in render_message(message(text="&lt;!channel&gt;"))
    assert "&lt;!channel&gt;" in render_message(message(text="&lt;!channel&gt;"))


def test_an_edited_text_is_marked_as_in_slack_and_every_update_is_counted():
    said = [{"at": f"158418{minute}000.000100", "text": "x"} for minute in range(3)]
    ts = "1584180000.000100"
    of_text = render_message(message(text="x", edited={"ts": "1"}), versions={ts: said})
    of_blocks = render_message(message(blocks=[{"type": "divider"}], edited={"ts": "1"}), versions={ts: said})
    assert ("(edited)" in of_text, "(edited)" in of_blocks) == (True, False)
    assert "edited 2 times" in of_text
    assert "edited 2 times" in of_blocks
    assert "edited" not in render_message(message(text="x"), versions={ts: said[:1]})


def test_a_phone_shows_the_channel_s_messages_as_they_were_posted(slack):
    client = slack.client()
    root = client.chat_postMessage(channel="#retrain-alerts", text="data late")
    place = {"channel": root["channel"], "thread_ts": root["ts"]}
    client.chat_postMessage(**place, text="a quiet reply")
    client.chat_postMessage(**place, text="a loud reply", reply_broadcast=True)
    client.chat_update(channel=root["channel"], ts=root["ts"], text="data late, resolved")

    channel, _, phone = slack.page().partition("On a locked phone")
    assert re.findall(r"Retrain: ([^<]*)", phone) == ["a loud reply", "data late"]
    assert channel.count("a quiet reply") == 1
    assert channel.count("a loud reply") == 2, "in the thread and in the channel"
    assert "replied to a thread: <a" in channel
    assert "data late, resolved" in channel


def test_a_thread_has_a_page_by_time_and_by_metadata(slack):
    client = slack.client()
    for number, text in enumerate(("other", "older", "newest")):
        payload = {"key": "trips/data_late" if number else "trips/drift"}
        root = client.chat_postMessage(
            channel="#retrain-alerts", text=text, metadata={"event_type": "incident", "event_payload": payload}
        )
    reply = client.chat_postMessage(channel=root["channel"], text="reply", thread_ts=root["ts"])

    pages = [read(f"{slack.url}/thread?{query}") for query in (f"ts={root['ts']}", f"ts={reply['ts']}")]
    pages.append(read(f"{slack.url}/thread?key=trips/data_late"))
    assert len(set(pages)) == 1
    assert re.findall(r'<div class="text">([^<]*)', pages[0]) == ["newest", "reply"]
    for query in ("ts=1.000001", "key=elsewhere", ""):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(f"{slack.url}/thread?{query}")


def test_a_picture_of_a_message_is_small_and_equal_for_equal_messages(slack, browser, tmp_path):
    pictures = []
    for name in ("first.png", "second.png"):
        slack.control("reset", {})
        slack.control("clock", {"at": 1_584_425_760})
        root = slack.client().chat_postMessage(
            channel="#retrain-alerts",
            text="2 features drifted",
            metadata={"event_type": "x", "event_payload": {"k": 1}},
        )
        slack.client().chat_postMessage(channel=root["channel"], text=":taxi: " * 400, thread_ts=root["ts"])
        picture_message(browser, slack.url, "k=1", tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) <= 150_000
    with Image.open(tmp_path / "first.png") as picture:
        width, height = picture.size
    assert (width, height > 800) == (780, True)
    with pytest.raises(ScreenshotError, match="There is no message"):
        picture_message(browser, slack.url, "1.000001", tmp_path / "none.png")
