"""What the page's sections say of a state of the watch, and that no text of it becomes HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.alerts import silences
from retrain.alerts.kinds import Kind
from retrain.alerts.message.plain_text import Plain
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.page.incident_sections import ended_section, open_section, told
from retrain.alerts.watch.page.moments import when
from retrain.alerts.watch.page.mrkdwn_html import anchor, blocks_to_html, to_html
from retrain.alerts.watch.page.reading import overview_of
from retrain.alerts.watch.page.status_sections import WORK, delivery_section, part_section, silence_section
from retrain.alerts.watch.page.verdict_section import verdict_section
from retrain.alerts.watch.page.view import ChannelLine, Whereabouts
from retrain.alerts.watch.second_channel import SecondChannelMark
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack.plan import SlackMark
from retrain.alerts.watch.watch import Watch

FAILED = Signal("f", "2020-03-18T03:50:00", Step.TROUBLE, "ours", Kind.TASK_FAILED, "push", "2020-03-17", "push")
REFUSED = Signal("p", "2020-03-18T05:00:00", Step.TROUBLE, "ours", Kind.PROMOTION_REFUSED, "", "2020-03-17")
GOOD = replace(FAILED, id="g", at="2020-03-18T05:30:00", step=Step.GOOD, kind=None, subject="")
SILENCES = """
- {pipeline: ours, kind: task_failed, reason: <Known>, issue: "https://x.example/1", since: 2020-03-10, expires: 2020-03-18}
- {pipeline: ours, kind: data_late, reason: over, issue: "https://x.example/2", since: 2020-02-10, expires: 2020-03-17}
- {pipeline: ours, kind: data_late, reason: later, issue: "https://x.example/3", since: 2020-04-01, expires: 2020-04-02}
- {pipeline: ours, kind: data_late}
"""


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = WatchSettings.of({"RETRAIN_ALERTS": str(tmp_path / "alerts"), "RETRAIN_SLACK_CHANNEL": "#ours"})
    return Watch(replace(settings, pipelines=tmp_path), now=lambda: datetime(2020, 3, 18, 6, tzinfo=UTC))


def test_a_watch_without_incidents_says_so_in_sentences(watch: Watch) -> None:
    view = overview_of(watch)
    assert "Nothing is open." in open_section(view)
    assert "Nothing is silenced." in silence_section(view)
    assert "No incident has ended" in ended_section(view)
    assert "No signal waits" in delivery_section(view)
    assert "There is no second channel" in delivery_section(view)


def test_the_verdict_names_the_reasons_why_nothing_is_delivered_and_the_parts_that_do_not_work(watch: Watch) -> None:
    assert "Messages can be delivered." in verdict_section(overview_of(watch))
    watch.parts["slack"].error = "KeyError: <b>"
    said = verdict_section(overview_of(watch))
    assert "Messages cannot be delivered." in said
    assert "KeyError: &lt;b&gt;" in said
    assert "slack: not working" in said
    assert "Nothing is open. But see above" in open_section(overview_of(watch))


def test_an_open_incident_shows_for_how_long_why_and_what_to_do(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    said = open_section(overview_of(watch))
    assert "Open for 2 h 10 min" in said
    assert "Needs a person now" in said
    assert "No new model of" in said
    assert "<h4>Next</h4>" in said
    assert '<a href="runbooks/task_failed">Runbook</a>' in said


def test_what_needs_a_person_now_comes_before_what_can_wait_and_silenced_incidents_come_last(watch: Watch) -> None:
    for signal in (FAILED, REFUSED, replace(FAILED, id="h", subject="reproduce", pipeline="theirs")):
        watch.state.book.fold(signal)
    watch.state.configuration.silences = silences.read(SILENCES)
    view = overview_of(watch)
    assert [(known.line.pipeline, known.line.kind, bool(known.silenced)) for known in view.open] == [
        ("theirs", Kind.TASK_FAILED, False),
        ("ours", Kind.PROMOTION_REFUSED, False),
        ("ours", Kind.TASK_FAILED, True),
    ]
    assert "3: 1 needs a person now, 1 can wait or run, 1 silenced" in verdict_section(view)
    assert "Silenced until" in open_section(view)
    assert "&lt;Known&gt;" in open_section(view)


def test_each_silence_says_whether_it_is_in_force_and_an_invalid_one_that_it_silences_nothing(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    watch.state.configuration.silences = silences.read(SILENCES)
    said = silence_section(overview_of(watch))
    for state in ("In force, for the last day", "mutes 1 open incident", "Over: remove it", "begins 2020-04-01"):
        assert state in said
    assert said.index("In force") < said.index("begins 2020-04-01") < said.index("Over: remove it")
    assert "Invalid: silences nothing" in said
    assert '<a href="https://x.example/1"' in said


def test_an_ended_incident_says_how_long_it_lasted_how_it_ended_and_which_days_it_left(watch: Watch) -> None:
    for signal in (replace(FAILED, id="e", at="2020-03-17T03:50:00", partition="2020-03-16"), FAILED, GOOD):
        watch.state.book.fold(signal)
    said = ended_section(overview_of(watch))
    assert "1 day 1 h" in said
    assert "<code>push</code> succeeded for" in said
    assert 'Still without a model: <span class="date">2020-03-16</span>' in said


def test_the_newest_end_comes_first(watch: Watch) -> None:
    later = replace(FAILED, id="h", subject="reproduce", task="reproduce", at="2020-03-18T02:00:00")
    for signal in (FAILED, later, GOOD, replace(GOOD, id="i", task="reproduce", at="2020-03-18T05:40:00")):
        watch.state.book.fold(signal)
    assert [line.title for line in overview_of(watch).ended] == [
        "reproduce failed for 2020-03-17",
        "push failed for 2020-03-17",
    ]


def test_a_message_in_slack_has_its_time_and_its_address_once_the_workspace_is_known(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    identifier = watch.state.book.open()[0].id
    watch.state.slack_marks.save(SlackMark(identifier, "C1", "#ours", "1584503403.000100"))
    known = overview_of(watch).open[0].line.whereabouts
    assert (known.slack_since, known.slack_url) == ("2020-03-18T03:50:03+00:00", "")
    watch.state.settings.slack._workspace["url"] = "https://team.slack.com/"
    page = open_section(overview_of(watch))
    assert '<a href="https://team.slack.com/archives/C1/p1584503403000100"' in page
    watch.state.settings.slack._workspace["url"] = "javascript:alert(1)//"
    assert "javascript" not in open_section(overview_of(watch))


def test_an_incident_that_slack_lacks_says_why(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    identifier = watch.state.book.open()[0].id
    assert "it is sent within seconds" in open_section(overview_of(watch))
    watch.state.slack_marks.save(SlackMark(identifier, refused={"": "invalid_blocks <b>"}, over=True))
    assert "Not in Slack: invalid_blocks &lt;b&gt;" in open_section(overview_of(watch))


def test_the_second_channel_is_shown_by_address_without_the_address_itself(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    channel, identifier = watch.second_channel.channel, watch.state.book.open()[0].id
    channel.known = {"address 1": "k1", "address 2": "k2"}
    channel.marks.save(SecondChannelMark(identifier, {"k1": "opened"}))
    channel.marks.save(SecondChannelMark("last deliveries", {"k1": "2020-03-18T03:50:09+00:00"}))
    channel.troubles = {"address 2": "It did not take the message."}
    view = overview_of(watch)
    assert "Second channel: 1 of 2 addresses." in open_section(view)
    assert [(line.name, line.last, line.trouble) for line in view.second] == [
        ("second channel, address 1", "2020-03-18T03:50:09+00:00", ""),
        ("second channel, address 2", None, "It did not take the message."),
    ]
    assert "second channel, address 1" in verdict_section(view), "it took the last message"


def test_a_channel_shows_what_it_refused_and_why_it_takes_nothing_now(watch: Watch) -> None:
    line = ChannelLine("#<ours>", 3, "2020-03-18T05:50:00", 4, 1, 2, "invalid_auth <b>")
    said = delivery_section(replace(overview_of(watch), channels=[line]))
    assert "4 delivered, 1 refused, 2 tries failed" in said
    assert "Takes nothing now" in said
    assert "10 min ago" in said
    assert "invalid_auth &lt;b&gt;" in said
    assert "#&lt;ours&gt;" in said


def test_a_channel_is_not_said_to_take_messages_before_slack_was_asked(watch: Watch) -> None:
    assert "Not asked yet" in delivery_section(overview_of(watch))
    assert "Takes messages" not in delivery_section(overview_of(watch))


def test_every_part_of_the_watch_is_listed_with_what_it_does(watch: Watch) -> None:
    assert set(WORK) == set(watch.parts)
    watch.parts["check"].take_turn()
    said = part_section(overview_of(watch))
    assert said.count("Has not worked yet") == len(watch.parts) - 1
    assert f"8 of {len(watch.parts)} have not worked yet" in verdict_section(overview_of(watch))


def test_a_moment_is_in_utc_as_in_messages_and_in_the_pipelines_own_zone_if_that_differs() -> None:
    assert ">2020-03-18 03:50 UTC<" in when("2020-03-18T03:50:00")
    assert ">2020-03-18 03:50 UTC<" in when("2020-03-18T03:50:00", "Europe/London")
    assert ">2020-03-18 13:50 UTC (09:50 EDT)<" in when("2020-03-18T13:50:00", "America/New_York")
    assert ">2020-03-18 03:50 UTC (2020-03-17 23:50 EDT)<" in when("2020-03-18T03:50:00", "America/New_York")
    assert ">2020-03-18 03:50 UTC<" in when("2020-03-18T03:50:00", "No/Such_Zone")
    assert when(None) == "not known"


def test_no_text_of_a_message_becomes_html() -> None:
    hostile = "*&lt;b&gt;* `<script>` <https://x.example/?a=1&amp;b=2|A &lt;i&gt;> <javascript:alert(1)|x> <script>"
    shown = to_html(hostile)
    assert "<strong>&lt;b&gt;</strong> <code>&lt;script&gt;</code>" in shown
    assert '<a href="https://x.example/?a=1&amp;b=2" rel="noreferrer">A &lt;i&gt;</a>' in shown
    assert "<script>" not in shown
    assert "&lt;javascript:alert(1)|x&gt;" in shown
    assert anchor("javascript:alert(1)", "<x>") == "&lt;x&gt;"


def test_blocks_of_code_keep_their_lines_and_bullets_become_a_list() -> None:
    shown = to_html("*Run:*\n• one\n• two\n```a <b>\n  c```")
    assert "<strong>Run:</strong>" in shown
    assert "<ul><li>one</li><li>two</li></ul>" in shown
    assert "<code>a &lt;b&gt;\n  c</code></pre>" in shown
    assert blocks_to_html(Plain("only text")) == "<p>only text</p>"


def test_one_address_of_the_second_channel_either_has_the_message_or_not() -> None:
    in_slack = Whereabouts("2020-03-18T03:50:03+00:00", second_took=0, second_of=1)
    assert told(in_slack, "UTC").endswith("Second channel: not delivered.")
    assert told(in_slack, "UTC", began="2020-03-18T03:50:00").startswith("In Slack since then.")
    assert told(in_slack, "UTC", began="2020-03-18T03:49:59").startswith("In Slack since <time")
    assert told(replace(in_slack, second_took=1), "UTC").endswith("Second channel: delivered.")
