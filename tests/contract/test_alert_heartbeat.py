"""The heartbeat stops when messages cannot be delivered, for any reason, and goes on while something is only worth a look."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from alerting import IdleObserver, Standin, eventually, settings, trouble, watching
from receiver import Receiver, receiving

from retrain.alerts.errors import WatchError
from retrain.alerts.outbox import Outbox
from retrain.alerts.watch.parts import observe, part
from retrain.alerts.watch.second_channel import SecondChannelAddresses
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.watch import Watch

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def outside() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def chosen(tmp_path: Path, standin: Standin, outside: Receiver) -> WatchSettings:
    """The heartbeat stops at once when messages cannot be delivered. The part itself beats once, at the start."""
    plain = settings(tmp_path, standin, heartbeat_url=outside.page)
    return replace(plain, seconds=replace(plain.seconds, undelivered=0, heartbeat=3600))


class FailingObserver(IdleObserver):
    """An observer with a fault of its own."""

    def observe(self, _now, _incidents):
        raise KeyError("Mars/Olympus")


class UnansweredObserver(IdleObserver):
    """An observer whose questions about these pipelines are not answered."""

    def __init__(self, *blind: str) -> None:
        self.problems = dict.fromkeys(blind, "S3 did not answer.")


def expired(chosen: WatchSettings) -> WatchSettings:
    return replace(chosen, slack=replace(chosen.slack, token=AppToken("xoxb-expired")))


def beats(watch: Watch, outside: Receiver) -> bool:
    """True if a beat is given, in the file and outside; it must not be given in one of them only."""
    eventually(lambda: watch.parts["heartbeat"].turns, "the part's own beat at the start is over")
    file = watch.state.settings.folder / "heartbeat"
    file.unlink(missing_ok=True)
    before = len(outside.beats)
    with suppress(WatchError):
        watch.parts["heartbeat"].work()
    given = len(outside.beats) > before
    assert file.exists() is given
    return given


def test_it_beats_while_messages_can_be_delivered(chosen: WatchSettings, outside: Receiver) -> None:
    with watching(chosen) as watch:
        eventually(lambda: watch.parts["check"].turns and beats(watch, outside), "a beat")


@pytest.mark.parametrize(
    ("observer", "where"),
    [
        pytest.param(FailingObserver(), "observe", id="a part that fails each time"),
        pytest.param(UnansweredObserver("ours", "theirs"), "observe", id="no pipeline's questions answered"),
    ],
)
def test_it_stops_while_the_observer_fails_or_gets_no_answers(
    chosen: WatchSettings, outside: Receiver, observer: IdleObserver, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "_UNANSWERED_TOO_LONG", 0)
    with watching(chosen, observer=observer) as watch:
        eventually(lambda: where in watch.health().problems, "it is named")
        assert not beats(watch, outside)


class HangingObserver(IdleObserver):
    """An observer that hangs until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Event()

    def observe(self, _now, _incidents):
        self.let_go.wait()
        return []


def test_it_stops_while_a_part_hangs(chosen: WatchSettings, outside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = HangingObserver()
    with watching(chosen, observer=observer) as watch:
        monkeypatch.setattr(part, "_HANGS_AFTER", 0.5)
        eventually(lambda: "has been running" in watch.health().problems.get("observe", ""), "it is named")
        assert not beats(watch, outside)
        observer.let_go.set()
        monkeypatch.undo()
        eventually(lambda: beats(watch, outside), "it beats again")


def test_it_goes_on_while_only_one_pipeline_of_two_gets_no_answers(
    chosen: WatchSettings, outside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "_UNANSWERED_TOO_LONG", 0)
    with watching(chosen, observer=UnansweredObserver("ours")) as watch:
        eventually(lambda: "observe ours" in watch.health().attention, "it is named")
        assert beats(watch, outside)


def test_it_stops_while_slack_refuses_the_token_and_there_is_no_second_channel(
    chosen: WatchSettings, outside: Receiver
) -> None:
    with watching(expired(chosen)) as watch:
        eventually(lambda: "invalid_auth" in str(watch.health().problems), "it is named")
        assert not beats(watch, outside)


def test_it_stops_while_slack_refuses_a_channel_and_beats_again_afterwards(
    chosen: WatchSettings, outside: Receiver, standin: Standin
) -> None:
    standin.control("channels", {"name": "ours", "state": "is_archived"})
    with watching(chosen) as watch:
        eventually(lambda: "is archived" in str(watch.health().problems), "it is named")
        assert not beats(watch, outside)
        standin.control("channels", {"name": "ours", "state": ""})
        eventually(lambda: beats(watch, outside), "it beats again")


def test_it_goes_on_while_the_second_channel_delivers_what_slack_does_not(
    chosen: WatchSettings, outside: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "addresses"
    file.write_text(f"{outside.url}\n")
    file.chmod(0o600)
    chosen = replace(expired(chosen), second=SecondChannelAddresses(file=file))
    Outbox(chosen.folder / "outbox").put(trouble())
    with watching(chosen) as watch:
        eventually(lambda: outside.taken and "invalid_auth" in str(watch.health().attention), "it is told")
        eventually(lambda: watch.health().problems == {}, "the turn that delivered has ended")
        assert beats(watch, outside)
        outside.ill = True
        Outbox(chosen.folder / "outbox").put(trouble(1, subject="other"))
        eventually(lambda: "invalid_auth" in str(watch.health().problems), "neither delivers now")
        outside.ill = False  # it takes beats, and there is none
        assert not beats(watch, outside)


def unreadable(folder: Path) -> None:
    shutil.rmtree(folder / "outbox" / "new", ignore_errors=True)
    (folder / "outbox" / "new").write_text("a file where the folder was")


def test_it_stops_while_the_outbox_can_be_neither_read_nor_written(chosen: WatchSettings, outside: Receiver) -> None:
    with watching(chosen) as watch:
        eventually((chosen.folder / "outbox" / "new").exists, "the outbox is there")
        unreadable(chosen.folder)
        eventually(lambda: "signals" in watch.health().problems, "that it cannot be read is named")
        eventually(lambda: "cannot write signals" in watch.health().problems.get("outbox", ""), "nor written")
        assert not beats(watch, outside)


def put_garbage(chosen: WatchSettings) -> None:
    (chosen.folder / "outbox" / "new").mkdir(parents=True, exist_ok=True)
    (chosen.folder / "outbox" / "new" / "0.json").write_text("{")


def break_a_pipeline(chosen: WatchSettings) -> None:
    (chosen.pipelines / "ours.yaml").write_text("schema_version: 7\n")


def break_a_silence(chosen: WatchSettings) -> None:
    chosen.silences.write_text("- {pipeline: ours}\n")


def lose_a_picture(chosen: WatchSettings) -> None:
    Outbox(chosen.folder / "outbox").put(trouble(pictures=(("gone.png", "x"),)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put_garbage, "garbage"),
        (break_a_pipeline, "pipeline ours"),
        (break_a_silence, "silence 1"),
        (lose_a_picture, "gone.png"),
    ],
)
def test_it_goes_on_while_something_is_only_worth_a_look(
    chosen: WatchSettings, outside: Receiver, change: Callable[[WatchSettings], None], named: str
) -> None:
    change(chosen)
    with watching(chosen) as watch:
        eventually(lambda: any(named in where for where in watch.health().attention), "it is named")
        assert watch.health().problems == {}
        assert beats(watch, outside)


def test_an_outside_service_that_refuses_a_beat_is_named_and_stops_nothing(
    chosen: WatchSettings, outside: Receiver
) -> None:
    outside.ill = True
    chosen = replace(chosen, seconds=replace(chosen.seconds, heartbeat=0.05))
    with watching(chosen) as watch:
        eventually(lambda: "did not take the beat" in watch.health().attention.get("heartbeat", ""), "it is named")
        assert watch.health().problems == {}
    assert (chosen.folder / "heartbeat").exists()
