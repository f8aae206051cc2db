"""The second channel gets the opening and the end of each incident, beside Slack and without it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from alerting import eventually, good, settings, trouble, watching
from receiver import receiving

from retrain.alerts.outbox import Outbox
from retrain.alerts.watch.__main__ import send_test_messages
from retrain.alerts.watch.rehearsal import rehearse
from retrain.alerts.watch.second_channel import SecondChannelAddresses
from retrain.alerts.watch.slack.app_token import AppToken

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def receivers():
    with receiving() as first, receiving() as second:
        yield [first, second]


@pytest.fixture
def chosen(tmp_path, standin, receivers):
    file = tmp_path / "addresses"
    file.write_text("# ours\n" + "".join(f"{receiver.url}\n" for receiver in receivers))
    file.chmod(0o600)
    return settings(tmp_path, standin, second=SecondChannelAddresses(file=file))


def test_an_opening_and_an_end_are_sent_in_plain_text_even_with_slack_down(standin, chosen, receivers):
    standin.stop()
    outbox = Outbox(chosen.folder / "outbox")
    with watching(chosen):
        for number in range(3):
            outbox.put(trouble(number))
        eventually(lambda: receivers[0].taken, "the opening is sent")
        outbox.put(good(10))
        eventually(lambda: [len(r.taken) for r in receivers] == [2, 2], "the end is sent")
    opening, end = receivers[0].taken
    assert opening["title"] == "🔴 push failed for 2020-03-17 · ours"
    assert "S3 answered 503" in opening["message"]
    assert "Runbook: http://runbooks.test/task_failed" in opening["message"]
    assert "Resolved" in end["title"]
    assert "*" not in opening["message"]


def test_an_address_that_takes_nothing_holds_up_no_other_and_gets_the_message_once_later(chosen, receivers):
    well, ill = receivers
    ill.ill = True
    outbox = Outbox(chosen.folder / "outbox")
    with watching(chosen) as watch:
        outbox.put(trouble())
        eventually(lambda: well.taken and ill.refused, "one has heard")
        eventually(lambda: "second channel, address 2" in watch.health().attention, "the other is named")
        assert "hidden-word" not in str(watch.health())
        ill.ill = False
        eventually(lambda: ill.taken, "the other has heard")
    assert [len(r.taken) for r in receivers] == [1, 1]


def test_a_restart_sends_the_second_channel_nothing_twice(chosen, receivers):
    Outbox(chosen.folder / "outbox").put(trouble())
    for _ in range(2):
        with watching(chosen) as watch:
            turns = watch.parts["second channel"].turns
            eventually(lambda w=watch, t=turns: receivers[0].taken and w.parts["second channel"].turns > t + 3, "turns")
    assert [len(r.taken) for r in receivers] == [1, 1]


def test_a_file_of_addresses_that_others_may_read_is_not_used(chosen, receivers):
    chosen.second.file.chmod(0o644)
    Outbox(chosen.folder / "outbox").put(trouble())
    with watching(chosen) as watch:
        eventually(lambda: "second channel, configuration" in watch.health().attention, "it is named")
        assert "chmod 600" in watch.health().attention["second channel, configuration"]
    assert receivers[0].taken == []


def test_a_rehearsal_goes_through_every_channel(standin, chosen, receivers):
    outcomes = list(rehearse(chosen))
    assert all(outcome.well for outcome in outcomes), outcomes
    assert [outcome.place for outcome in outcomes][:2] == ["#ours (ours)", "#theirs (theirs)"]
    assert [len(r.taken) for r in receivers] == [1, 1]
    for channel in standin.control("messages")["channels"]:
        (message,) = channel["messages"]
        assert len(message["versions"]) == 2
        assert len(message["replies"]) == 1


def test_a_rehearsal_names_the_channel_and_the_address_that_take_nothing(standin, chosen, receivers):
    standin.control("channels", {"name": "theirs", "state": "not_in_channel"})
    receivers[1].ill = True
    ill = {outcome.place: outcome.says for outcome in rehearse(chosen) if not outcome.well}
    assert list(ill) == ["#theirs (theirs)", "second channel, address 2"]
    assert "/invite" in ill["#theirs (theirs)"]


@pytest.mark.parametrize("token", ["xoxb-expired", "xoxb with blanks", ""])
def test_a_rehearsal_names_a_wrong_token_without_showing_it(chosen, token, capsys):
    assert send_test_messages(replace(chosen, slack=replace(chosen.slack, token=AppToken(token)))) == 1
    said = capsys.readouterr().out
    assert "NOT OK" in said
    assert "SlackTokenError" in said
    assert not token or token not in said
