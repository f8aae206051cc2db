"""A message names the live model that the ledger shows when it is written, and waits for the ledger only a few seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import pytest
from alerting import Standin, eventually, good, settings, tops, trouble, watching
from botocore.config import Config
from gate import Gate, gate_to
from stack_model import REGION, Stack

from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.outbox import Outbox
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch import situations
from retrain.alerts.watch.settings import WatchSettings
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import StoreError
from retrain.store import promotions
from retrain.store.ledger import Ledger
from retrain.store.promotions import NotedPromotion

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def chosen(tmp_path: Path, standin: Standin) -> WatchSettings:
    return settings(tmp_path, standin)


@pytest.fixture
def outbox(chosen: WatchSettings) -> Outbox:
    return Outbox(chosen.folder / "outbox")


class Consumers:
    """The model version in the ledger of each pipeline. An exception is raised, an event is waited for."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, deployment: Deployment, now: datetime) -> Situation:
        self.asked.append(deployment.pipeline)
        found = self.of.get(deployment.pipeline, "8")
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Event):
            found.wait()
            found = "8"
        at = now.isoformat()
        return Situation(at, found, "2020-03-16", f"2020-03-{8 + int(found):02}", "2020-03-17T06:13:51+00:00")


def says(standin: Standin, pipeline: str = "ours") -> str:
    return json.dumps([message["blocks"] for message in tops(standin, pipeline)])


def drifted(number: int, **changes: Any) -> Signal:
    plain = trouble(number, **changes)
    return replace(
        plain, id=f"drift {plain.id}", kind=Kind.DRIFT_DETECTED, subject="", task=None, facts={"severity": "low"}
    )


def promoted(number: int) -> Signal:
    return replace(trouble(number), step=Step.NOTE, kind=Kind.PROMOTED, subject="", task=None, facts={"version": "9"})


def test_a_promotion_after_the_trouble_is_in_the_message_that_is_open(
    standin: Standin, chosen: WatchSettings, outbox: Outbox
) -> None:
    consumers = Consumers()
    with watching(chosen, ledger=consumers):
        outbox.put(drifted(0))
        eventually(lambda: "model version 8" in says(standin), "it is posted")
        consumers.of["ours"] = "9"
        outbox.put(promoted(1))
        eventually(lambda: "model version 9" in says(standin), "the message is brought up to date")
    (message,) = tops(standin)
    assert len(message["versions"]) == 2


def test_a_message_reads_the_ledger_itself_and_no_earlier_answer(
    standin: Standin, chosen: WatchSettings, outbox: Outbox
) -> None:
    consumers = Consumers()
    with watching(chosen, ledger=consumers):
        outbox.put(trouble(0))
        eventually(lambda: "model version 8" in says(standin), "it is posted")
        consumers.of["ours"] = "9"
        outbox.put(trouble(1, subject="promote"))
        eventually(lambda: "model version 9" in says(standin), "the next message says what is live now")


def test_a_recorded_run_is_the_last_good_one_in_the_messages_that_are_open(
    standin: Standin, chosen: WatchSettings, outbox: Outbox
) -> None:
    consumers = Consumers()
    with watching(chosen, ledger=consumers):
        outbox.put(trouble(0))
        eventually(lambda: "Last good run: 2020-03-16" in says(standin), "it is posted")
        consumers.of["ours"] = "9"
        outbox.put(good(1, subject="record_run"))
        eventually(lambda: "Last good run: 2020-03-17" in says(standin), "the run counts")


def test_where_nothing_is_open_no_ledger_is_read(standin: Standin, chosen: WatchSettings, outbox: Outbox) -> None:
    consumers = Consumers()
    with watching(chosen, ledger=consumers) as watch:
        outbox.put(promoted(0))
        outbox.put(good(1, subject="record_run"))
        turns = watch.parts["situation"].turns
        eventually(lambda: not outbox.waiting()[0] and watch.parts["situation"].turns > turns + 3, "turns were had")
    assert tops(standin) == []
    assert consumers.asked == []


def test_a_ledger_that_cannot_be_read_is_named_and_the_message_completed_once_it_can(
    standin: Standin, chosen: WatchSettings, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(situations, "_FIRST_PAUSE", 0.2)
    consumers = Consumers()
    consumers.of["ours"] = StoreError("S3 answered NoSuchBucket")
    with watching(chosen, ledger=consumers) as watch:
        outbox.put(trouble(0))
        outbox.put(trouble(0, pipeline="theirs"))
        eventually(lambda: "are not known yet: S3 answered NoSuchBucket" in says(standin), "the reason is posted")
        eventually(lambda: "model version 8" in says(standin, "theirs"), "the other pipeline's message is whole")
        assert watch.health().problems == {}
        assert "NoSuchBucket" in watch.health().attention["situation of ours"]
        consumers.of["ours"] = "8"
        eventually(lambda: "model version 8" in says(standin), "it is completed in place")
        eventually(lambda: watch.health().attention == {}, "nothing is left to look at")
    assert len(tops(standin)) == 1


def test_a_ledger_that_gives_no_answer_is_left_alone_for_a_while(
    standin: Standin, chosen: WatchSettings, outbox: Outbox
) -> None:
    consumers = Consumers()
    consumers.of["ours"] = StoreError("S3 did not answer")
    with watching(chosen, ledger=consumers) as watch:
        for number in range(5):
            outbox.put(trouble(number, subject=f"task{number}"))
            eventually(lambda n=number: len(tops(standin)) == n + 1, "it is posted")
        turns = watch.parts["situation"].turns
        eventually(lambda: watch.parts["situation"].turns > turns + 5, "more turns")
    assert consumers.asked == ["ours"]


def test_a_ledger_that_hangs_keeps_no_message_back(
    standin: Standin, chosen: WatchSettings, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(situations, "_WAITS_SECONDS", 0.2)
    consumers, answers = Consumers(), Event()
    consumers.of = {"ours": answers, "theirs": answers}
    with watching(chosen, ledger=consumers) as watch:
        outbox.put(trouble(0))
        outbox.put(trouble(0, pipeline="theirs"))
        eventually(lambda: tops(standin) and tops(standin, "theirs"), "both are posted")
        assert "are not known yet" in says(standin) + says(standin, "theirs")
        outbox.put(good(5))
        eventually(lambda: "Resolved" in tops(standin)[0]["text"], "and what follows")
        assert not watch.parts["signals"].trouble
        answers.set()


@pytest.fixture
def gate(s3_server: Stack) -> Iterator[Gate]:
    with gate_to(s3_server.s3_url) as gate:
        yield gate


def test_the_ledger_in_s3_names_the_live_model_and_a_ledger_that_hangs_holds_up_no_other_pipeline(
    standin: Standin,
    chosen: WatchSettings,
    outbox: Outbox,
    gate: Gate,
    s3_server: Stack,
    bucket: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(situations, "_FIRST_PAUSE", 0.2)
    keys = {
        "aws_access_key_id": s3_server.secrets.s3_access_key,
        "aws_secret_access_key": s3_server.secrets.s3_secret_key,
    }
    config = Config(connect_timeout=1, read_timeout=0.5, retries={"mode": "standard", "total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url=gate.url, region_name=REGION, config=config, **keys)
    for name in ("ours", "theirs"):
        ledger = f"s3://{bucket()}/ledger"
        promotions.note(Ledger(client, ledger), name, NotedPromotion("2020-03-16", "abc", "8", "7", "It is better."))
        path = chosen.pipelines / f"{name}.yaml"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"ledger: {ledger}" if line.startswith("ledger:") else line for line in lines))
        if name == "ours":
            gate.hang(ledger.split("/")[2])
    with watching(chosen, ledger=partial(situations.read, client)):
        outbox.put(drifted(0))
        outbox.put(drifted(0, pipeline="theirs"))
        eventually(lambda: "are on model version 8 of 2020-03-16" in says(standin, "theirs"), "theirs is whole")
        eventually(lambda: "are not known yet: S3 did not answer" in says(standin), "ours says why it is not")
        gate.release()
        eventually(lambda: "are on model version 8 of 2020-03-16" in says(standin), "ours is completed")
