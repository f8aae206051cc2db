"""The requests that Slack lacks, from what it should hold and what it holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from retrain.alerts.message.plain_text import Plain, to_text, without_blocks
from retrain.alerts.watch.slack.plan import ActionKind, Reply, SlackMark, SlackThread, fingerprint, plan

REPLIES = tuple(Reply(name, f"2020-03-18T06:0{at}", partial(Plain, name)) for at, name in enumerate("ab"))
THREAD = SlackThread("x", "#ours", "2020-03-18T06:00", "2020-03-18T06:01", Plain("it failed"), REPLIES)
DONE = SlackMark("x", "C1", "#ours", "1.0", fingerprint(Plain("it failed")), {"a": "1.1", "b": "1.2"})


def missing(*threads: SlackThread, mark: SlackMark | None = None) -> list[tuple[ActionKind, str, str]]:
    actions = plan(threads, lambda identifier: mark if mark and mark.id == identifier else SlackMark(identifier))
    return [(action.kind, action.thread.id, action.item) for action in actions]


def test_of_a_new_incident_everything_is_missing_and_its_message_comes_first() -> None:
    assert missing(THREAD) == [(ActionKind.POST, "x", ""), (ActionKind.REPLY, "x", "a"), (ActionKind.REPLY, "x", "b")]


def test_of_an_incident_that_slack_holds_nothing_is_missing() -> None:
    assert missing(THREAD, mark=DONE) == []


def test_a_changed_message_is_updated_before_its_new_reply_is_posted() -> None:
    mark = replace(DONE, digest="other", replies={"a": "1.1"})
    assert missing(THREAD, mark=mark) == [(ActionKind.UPDATE, "x", ""), (ActionKind.REPLY, "x", "b")]


def test_incidents_are_posted_in_the_order_of_their_beginning_whatever_their_names() -> None:
    later = replace(THREAD, id="a", at="2020-03-18T06:00:30", replies=())
    assert [(kind, thread) for kind, thread, _ in missing(later, THREAD)] == [
        (ActionKind.POST, "x"),
        (ActionKind.REPLY, "x"),
        (ActionKind.POST, "a"),
        (ActionKind.REPLY, "x"),
    ]


def test_a_picture_follows_its_reply() -> None:
    line = replace(REPLIES[0], pictures=(("p.png", "p"),))
    assert missing(replace(THREAD, replies=(line, REPLIES[1]))) == [
        (ActionKind.POST, "x", ""),
        (ActionKind.REPLY, "x", "a"),
        (ActionKind.PICTURE, "x", "p.png"),
        (ActionKind.REPLY, "x", "b"),
    ]


def test_a_silenced_thread_is_not_begun_and_an_existing_one_is_only_updated() -> None:
    silenced = replace(THREAD, silenced=True)
    assert missing(silenced) == []
    assert missing(silenced, mark=replace(DONE, digest="other", replies={})) == [(ActionKind.UPDATE, "x", "")]


def test_a_message_without_its_blocks_says_the_same_and_pings_nobody() -> None:
    blocks = (
        {"type": "header", "text": {"type": "plain_text", "text": "a <!channel> station"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*PSI* 0.41 &amp; <https://x.test/a|the log>"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "one"}, {"type": "mrkdwn", "text": "two"}]},
    )
    message = Plain("short", blocks)
    assert to_text(message) == "a <!channel> station\nPSI 0.41 & the log: https://x.test/a\none\ntwo"
    assert without_blocks(message).text.startswith("a &lt;!channel&gt; station\nPSI 0.41 &amp; the log")
    assert len(without_blocks(Plain("é" * 5000)).text.encode()) < 4000
