"""Alerts reach Slack once and in order, even if Slack or the watch fails meanwhile."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from alerting import (
    BEGIN,
    IdleObserver,
    entries,
    eventually,
    good,
    settings,
    subjects,
    subprocess_environment,
    tops,
    trouble,
    watching,
)

from retrain.alerts.kinds import Kind
from retrain.alerts.outbox import Outbox
from retrain.alerts.signal import Step
from retrain.alerts.watch import documents
from retrain.alerts.watch.book import Book
from retrain.alerts.watch.slack import client
from retrain.alerts.watch.slack.app_token import AppToken

pytestmark = pytest.mark.timeout(200)

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf500f000304"
    "01805a2b6d0d0000000049454e44ae426082"
)


@pytest.fixture
def chosen(tmp_path, standin):
    return settings(tmp_path, standin)


@pytest.fixture
def outbox(chosen):
    return Outbox(chosen.folder / "outbox")


def test_a_signal_is_a_message_in_its_pipeline_s_channel_at_once(standin, chosen, outbox):
    """The part that reads signals wakes the one that posts, whose own next turn would be in an hour."""
    with watching(replace(chosen, seconds=replace(chosen.seconds, slack=3600))) as watch:
        eventually(lambda: watch.parts["slack"].turns, "the part that posts waits for its next turn")
        outbox.put(trouble())
        eventually(lambda: tops(standin), "the message is there")
    assert tops(standin, "theirs") == []
    assert list((chosen.folder / "outbox" / "new").iterdir()) == []


def test_fourteen_signals_of_one_problem_are_one_message_with_a_thread(standin, chosen, outbox):
    for number in range(14):
        outbox.put(trouble(number))
    with watching(chosen):
        eventually(lambda: len(thread(standin)) == 14, "the thread is whole")
    (message,) = tops(standin)
    assert entries(message) == [trouble(number).id for number in range(14)]


def test_a_problem_that_ends_is_resolved_in_place_with_its_length(standin, chosen, outbox):
    with watching(chosen):
        outbox.put(trouble(0))
        eventually(lambda: len(thread(standin)) == 1, "it is posted")
        outbox.put(good(90))
        eventually(lambda: len(thread(standin)) == 2 and len(tops(standin)[0]["versions"]) == 2, "its end is posted")
    (message,) = tops(standin)
    assert "Resolved" in message["text"]
    assert "1 h 30 min" in json.dumps(message["blocks"])


def test_a_day_that_was_left_behind_is_named_until_it_is_made_up_for(standin, chosen, outbox):
    def says() -> str:
        return json.dumps(tops(standin)[0]["blocks"])

    with watching(chosen) as watch:
        outbox.put(trouble(0))
        eventually(lambda: len(thread(standin)) == 1, "it is posted")
        outbox.put(good(90, partition="2020-03-18"))
        eventually(lambda: "Still without a model: 2020-03-17" in says(), "the day left behind is named")
        outbox.put(good(200, partition="2020-03-17"))
        eventually(lambda: "Still without a model" not in says(), "it is ticked off")
        eventually(lambda: len(thread(standin)) == 3, "and told in the thread")
        (incident,) = watch.state.book.incidents()
        eventually(lambda: watch.state.slack_marks.of(incident.id).over, "nothing more can come")
    (message,) = tops(standin)
    assert "Resolved" in message["text"]
    assert "1 h 30 min" in says()


@pytest.mark.slow
def test_with_slack_down_for_long_nothing_is_lost_doubled_or_out_of_order(standin, chosen, outbox):
    standin.stop()
    with watching(chosen) as watch:
        for number in range(20):
            outbox.put(trouble(number, subject=f"task{number:02}"))
        outbox.put(trouble(30, subject="task03"))
        eventually(
            lambda: len(watch.state.book.open()) == 20 and watch.slack.delivery.pauses,
            "the watch knows, Slack does not",
        )
        assert "Slack did not answer" in str(watch.health().problems)
        standin.start()
        eventually(lambda: sum(len(m["replies"]) for m in tops(standin)) == 21, "all is posted")
        eventually(lambda: not watch.health().problems, "all is well again")
    assert subjects(standin) == [f"task{number:02}" for number in range(20)]
    assert [len(message["replies"]) for message in tops(standin)] == [1, 1, 1, 2, *([1] * 16)]


def test_an_incident_that_began_and_ended_while_slack_was_down_is_posted_as_resolved(standin, chosen, outbox):
    standin.stop()
    with watching(chosen) as watch:
        outbox.put(trouble(0))
        outbox.put(good(5))
        eventually(lambda: watch.state.book.incidents() and not watch.state.book.open(), "it is over")
        standin.start()
        eventually(lambda: len(thread(standin)) == 2, "it is posted")
    (message,) = tops(standin)
    assert "Resolved" in message["text"]
    assert len(message["versions"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "429", "count": 2, "retry_after": 0}, id="asks to wait"),
        pytest.param({"kind": "500", "count": 3}, id="errs"),
        pytest.param({"kind": "503", "count": 1, "accept": True}, id="errs after it has taken the message"),
        pytest.param({"kind": "hang", "count": 1}, id="hangs"),
        pytest.param({"kind": "hang", "count": 1, "accept": True}, id="takes the message and hangs"),
        pytest.param({"kind": "close", "count": 2, "accept": True}, id="takes messages and cuts the connection"),
    ],
)
def test_slack_in_trouble_gets_each_message_once(standin, chosen, outbox, fault):
    standin.control("faults", {"method": "chat.postMessage", **fault})
    for number in range(3):
        outbox.put(trouble(number, subject=f"task{number}"))
    with watching(chosen):
        eventually(lambda: sum(len(m["replies"]) for m in tops(standin)) == 3, "all is posted")
    assert subjects(standin) == ["task0", "task1", "task2"]
    posted = [r for r in requests(standin, "chat.postMessage") if r["answer"] == "ok" or fault.get("accept")]
    assert len(posted) == 6


@pytest.mark.parametrize("itself", [pytest.param(10, id="by the call itself"), pytest.param(0, id="by the delivery")])
def test_a_rate_limit_is_waited_for_as_long_as_slack_asks(standin, chosen, outbox, monkeypatch, itself):
    monkeypatch.setattr(client, "_LONGEST_WAIT", itself)
    standin.control("faults", {"kind": "429", "method": "chat.postMessage", "count": 1, "retry_after": 1})
    outbox.put(trouble())
    with watching(chosen):
        eventually(lambda: tops(standin), "the message is there")
    first, second, *_ = requests(standin, "chat.postMessage")
    assert second["at"] - first["at"] >= 1


def test_a_picture_is_in_the_thread_once_even_if_slack_s_answer_was_lost(standin, chosen, outbox):
    standin.control("faults", {"kind": "close", "method": "files.completeUploadExternal", "accept": True})
    outbox.put(trouble(pictures=(("drift-abc.png", "speed against its reference"),)), {"drift-abc.png": PNG})
    with watching(chosen) as watch:
        eventually(
            lambda: (
                [watch.state.slack_marks.of(known.id).pictures for known in watch.state.book.open()]
                == [["drift-abc.png"]]
            ),
            "the picture is posted",
        )
    files = [file for reply in thread(standin) for file in reply.get("files", ())]
    assert [(file["name"], file["title"]) for file in files] == [("drift-abc.png", "speed against its reference")]


def test_a_missing_picture_is_named_on_the_page_and_holds_up_nothing(standin, chosen, outbox):
    outbox.put(trouble(0, pictures=(("gone.png", "x"),)))
    outbox.put(trouble(1))
    with watching(chosen) as watch:
        eventually(lambda: len(thread(standin)) == 2, "both are posted")
        assert any("gone.png" in where for where in watch.health().attention)


@pytest.mark.parametrize("killed_in", ["the message", "a reply"])
def test_a_watch_killed_before_it_could_save_slack_s_answer_posts_nothing_twice(
    standin, chosen, outbox, tmp_path, killed_in
):
    if killed_in == "a reply":
        with watching(chosen):
            outbox.put(trouble(0))
            eventually(lambda: len(thread(standin)) == 1, "the message is there")
    else:
        outbox.put(trouble(0))
    standin.control("faults", {"kind": "hang", "method": "chat.postMessage", "accept": True})
    outbox.put(trouble(1))
    code = (
        "import sys; from pathlib import Path; from threading import Event; from alerting import *; "
        "class_ = type('S', (), {'token': sys.argv[2], 'url': sys.argv[3]}); "
        "chosen = settings(Path(sys.argv[1]), class_, slack=SlackClient(AppToken(sys.argv[2]), sys.argv[3] + '/api/', timeout=60)); "
        "context = watching(chosen); context.__enter__(); Event().wait()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), standin.token, standin.url],
        env={**subprocess_environment(), **names()},
    )
    try:
        eventually(lambda: held(standin), "Slack has taken the message, and does not answer")
    finally:
        child.kill()
        child.wait()
    with watching(chosen):
        eventually(lambda: len(thread(standin)) == 2, "all is posted")
    (message,) = tops(standin)
    assert entries(message) == [trouble(0).id, trouble(1).id]


def test_a_restart_repeats_nothing(standin, chosen, outbox):
    outbox.put(trouble(0))
    with watching(chosen):
        eventually(lambda: len(thread(standin)) == 1, "it is posted")
    before = len(requests(standin, "chat.postMessage")) + len(requests(standin, "chat.update"))
    with watching(chosen) as watch:
        outbox.put(trouble(0))
        eventually(
            lambda: watch.parts["slack"].turns > 2 and not watch.state.outbox.waiting()[0], "the watch had its turns"
        )
    assert len(requests(standin, "chat.postMessage")) + len(requests(standin, "chat.update")) == before


def test_a_message_whose_blocks_slack_refuses_is_posted_as_plain_text_and_holds_up_nothing(standin, chosen, outbox):
    standin.control("faults", {"kind": "error", "error": "invalid_blocks", "method": "chat.postMessage"})
    outbox.put(trouble(0, subject="<!channel>"))
    outbox.put(trouble(1, subject="other"))
    with watching(chosen) as watch:
        eventually(lambda: sum(len(m["replies"]) for m in tops(standin)) == 2, "both are posted")
        assert any("invalid_blocks" in why for why in watch.health().attention.values())
    first, second = tops(standin)
    assert not first.get("blocks")
    assert second["blocks"]
    assert "S3 answered 503" in first["text"]
    assert first["pings"] == []


def test_a_station_named_like_a_ping_pings_nobody(standin, chosen, outbox):
    facts = {**trouble().facts, "evidence": "station <!channel> & <@U123> is not known"}
    outbox.put(trouble(subject="<!channel>", facts=facts))
    with watching(chosen):
        eventually(lambda: thread(standin), "it is posted")
    (message,) = tops(standin)
    assert message["pings"] == []
    assert [reply["pings"] for reply in message["replies"]] == [[]]


def test_each_pipeline_has_its_channel_and_a_wrong_channel_holds_up_no_other_pipeline(standin, chosen, outbox):
    standin.control("channels", {"name": "ours", "state": "is_archived"})
    with watching(chosen) as watch:
        outbox.put(trouble(0))
        outbox.put(trouble(1, pipeline="theirs"))
        eventually(lambda: tops(standin, "theirs"), "theirs is posted")
        eventually(lambda: any("is_archived" in why for why in watch.health().problems.values()), "ours is named")
        standin.control("channels", {"name": "ours", "state": ""})
        eventually(lambda: tops(standin), "ours is posted, once it can be")


def test_an_expired_token_is_a_problem_and_a_new_token_needs_no_restart(standin, chosen, outbox, tmp_path):
    file = tmp_path / "token"
    file.write_text("xoxb-expired\n")
    chosen = replace(chosen, slack=replace(chosen.slack, token=AppToken(file=file)))
    with watching(chosen) as watch:
        outbox.put(trouble(0))
        eventually(lambda: any("invalid_auth" in why for why in watch.health().problems.values()), "the token is named")
        assert "xoxb" not in str(watch.health().problems)
        file.write_text(f"{standin.token}\n")
        eventually(lambda: thread(standin), "it is posted")
        eventually(lambda: not watch.health().problems, "all is well")


def test_a_silenced_problem_is_posted_if_it_outlasts_its_silence(standin, chosen, outbox):
    silence(chosen, since="2020-03-10", expires="2020-03-18")
    today = [BEGIN]
    with watching(chosen, now=lambda: today[0]) as watch:
        outbox.put(trouble(0))
        outbox.put(trouble(1, subject="over"))
        outbox.put(good(2, subject="over"))
        turns = watch.parts["slack"].turns
        eventually(
            lambda: len(watch.state.book.incidents()) == 2 and watch.parts["slack"].turns > turns + 3, "it is known"
        )
        assert tops(standin) == []
        today[0] = BEGIN.replace(day=19)
        eventually(lambda: thread(standin), "it is posted")
    assert subjects(standin) == ["push"]


def test_a_pipeline_s_broken_file_is_named_and_the_other_pipeline_s_messages_are_posted(standin, chosen, outbox):
    (chosen.pipelines / "ours.yaml").write_text("schema_version: 7\n")
    with watching(chosen) as watch:
        assert "schema_version" in watch.health().attention["pipeline ours"]
        outbox.put(trouble(pipeline="theirs"))
        eventually(lambda: tops(standin, "theirs"), "theirs is posted")


def test_the_digest_comes_once_at_its_time_to_each_channel_that_has_news(standin, chosen, outbox):
    clock = [BEGIN]
    outbox.put(replace(trouble(0), step=Step.NOTE, kind=Kind.PROMOTED, subject="7", facts={"version": "7"}))
    for hours in (0, 26, 27):  # the day itself, and the next morning twice
        clock[0] = BEGIN + timedelta(hours=hours)
        with watching(chosen, now=lambda: clock[0]) as watch:
            turns = watch.parts["digest"].turns
            eventually(lambda w=watch, t=turns: w.parts["digest"].turns > t + 2, "the digest had its turns")
            eventually(lambda w=watch: not w.state.outbox.waiting()[0] and w.parts["slack"].turns > 3, "and Slack")
    (message,) = tops(standin)
    assert "Digest of 2020-03-18" in message["text"]
    assert "Promoted" in json.dumps(message["blocks"])
    assert tops(standin, "theirs") == []


def test_with_the_watch_s_own_disk_full_a_problem_is_posted_once_and_saved_later(standin, chosen, outbox, monkeypatch):
    def full(path, _content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    outbox.put(trouble())
    with watching(chosen) as watch:
        eventually(lambda: not outbox.waiting()[0], "the first is noted down")
        with monkeypatch.context() as patch:
            patch.setattr(documents, "write_whole", full)
            outbox.put(trouble(1, subject="other"))
            eventually(lambda: "No space left" in watch.health().problems.get("signals", ""), "it is named")
            eventually(lambda: sum(len(m["replies"]) for m in tops(standin)) == 2, "both are posted")
            assert outbox.waiting()[0] == 1
        eventually(lambda: not outbox.waiting()[0], "it is noted down")
    assert subjects(standin) == ["push", "other"]


class FixedObserver(IdleObserver):
    """An observer that finds the same signals each time."""

    def __init__(self, *found):
        super().__init__()
        self.found = list(found)

    def observe(self, _now, _incidents):
        return self.found


def test_with_the_watch_s_own_disk_full_all_observed_problems_are_posted_and_saved_later(standin, chosen, monkeypatch):
    def full(path, _content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    seen = [trouble(number, subject=f"task{number}") for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(documents, "write_whole", full)
        with watching(chosen, observer=FixedObserver(*seen)) as watch:
            eventually(lambda: sum(len(m["replies"]) for m in tops(standin)) == 3, "all are posted")
            assert "No space left" in watch.health().problems["observe"]
            assert Book(chosen.folder / "incidents").open() == []
            patch.undo()
            eventually(lambda: len(Book(chosen.folder / "incidents").open()) == 3, "all are noted down")
    assert subjects(standin) == ["task0", "task1", "task2"]


def test_an_observed_signal_that_cannot_be_folded_does_not_hold_up_the_others(standin, chosen):
    broken = replace(trouble(0), backfill=True, at="yesterday")
    with watching(chosen, observer=FixedObserver(broken, trouble(1, subject="other"))) as watch:
        eventually(lambda: tops(standin), "the other is posted")
        assert "yesterday" in watch.health().problems["observe"]


def test_garbage_is_put_aside_and_named(standin, chosen, outbox):
    outbox.put(trouble())
    (chosen.folder / "outbox" / "new" / "0.json").write_text("{")
    with watching(chosen) as watch:
        eventually(lambda: tops(standin), "what is a signal is posted")
        assert "0.json" in watch.health().attention["garbage"]


def silence(chosen, *, since, expires):
    chosen.silences.write_text(
        f"- {{pipeline: ours, kind: task_failed, reason: known, issue: 'https://git.test/1', since: {since}, expires: {expires}}}\n"
    )


def thread(standin, channel="ours"):
    return [reply for message in tops(standin, channel) for reply in message["replies"]]


def requests(standin, method):
    return [request for request in standin.control("requests") if request["method"] == method]


def held(standin):
    return any("hang" in request["answer"] for request in requests(standin, "chat.postMessage"))


def names():
    """The variables that the pipelines' files name."""
    return {name: value for name, value in os.environ.items() if name.startswith("RETRAIN_")}
