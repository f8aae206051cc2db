"""What Slack lacks, from what it should hold and what it was told."""

from __future__ import annotations

from dataclasses import replace

from retrain.alerts.message.plain_text import Plain, to_text, without_blocks
from retrain.alerts.watch.slack.plan import ActionKind, Reply, SlackMark, SlackThread, fingerprint, plan

REPLIES = tuple(Reply(name, f"2020-03-18T06:0{at}", Plain(name)) for at, name in enumerate("ab"))
THREAD = SlackThread("x", "#ours", "2020-03-18T06:00", "2020-03-18T06:01", Plain("it failed"), REPLIES)
DONE = SlackMark("x", "C1", "#ours", "1.0", fingerprint(Plain("it failed")), {"a": "1.1", "b": "1.2"})


def lacking(*threads: SlackThread, mark: SlackMark | None = None) -> list[tuple[ActionKind, str, str]]:
    actions = plan(threads, lambda identifier: mark if mark and mark.id == identifier else SlackMark(identifier))
    return [(action.kind, action.thread.id, action.item) for action in actions]


def test_all_of_a_new_incident_is_lacking_its_message_first() -> None:
    assert lacking(THREAD) == [(ActionKind.POST, "x", ""), (ActionKind.REPLY, "x", "a"), (ActionKind.REPLY, "x", "b")]


def test_nothing_of_one_that_was_told_is_lacking() -> None:
    assert lacking(THREAD, mark=DONE) == []


def test_what_has_changed_since_is_changed_in_place_before_its_line_in_the_thread() -> None:
    mark = replace(DONE, digest="other", replies={"a": "1.1"})
    assert lacking(THREAD, mark=mark) == [(ActionKind.UPDATE, "x", ""), (ActionKind.REPLY, "x", "b")]


def test_incidents_are_told_in_the_order_of_their_beginning_whatever_their_names() -> None:
    later = replace(THREAD, id="a", at="2020-03-18T06:00:30", replies=())
    assert [(kind, thread) for kind, thread, _ in lacking(later, THREAD)] == [
        (ActionKind.POST, "x"),
        (ActionKind.REPLY, "x"),
        (ActionKind.POST, "a"),
        (ActionKind.REPLY, "x"),
    ]


def test_a_picture_follows_its_line() -> None:
    line = replace(REPLIES[0], pictures=(("p.png", "p"),))
    assert lacking(replace(THREAD, replies=(line, REPLIES[1]))) == [
        (ActionKind.POST, "x", ""),
        (ActionKind.REPLY, "x", "a"),
        (ActionKind.PICTURE, "x", "p.png"),
        (ActionKind.REPLY, "x", "b"),
    ]


def test_what_is_silenced_is_not_begun_and_only_brought_up_to_date_where_it_was() -> None:
    silenced = replace(THREAD, silenced=True)
    assert lacking(silenced) == []
    assert lacking(silenced, mark=replace(DONE, digest="other", replies={})) == [(ActionKind.UPDATE, "x", "")]


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
