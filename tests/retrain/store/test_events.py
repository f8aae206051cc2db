"""The JSON forms of the ledger's events, which older and newer deployments share."""

from __future__ import annotations

from typing import Any

import pytest

from retrain.errors import RecordError
from retrain.run.stage_run import StageOutcome, StageRun
from retrain.store import events

AT = "2020-03-06T06:00:00.000+00:00"
STAGES = (StageRun("train", StageOutcome.RAN, 12.5, 300 << 20),)


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (
            events.CountsEvent(AT, "k" * 64, "v1.0.0", "run", "daily"),
            {"run_key": "k" * 64, "release": "v1.0.0", "dag_run": "run", "mode": "daily"},
        ),
        (
            events.MirroredEvent(AT, "r", "1", None),
            {"run_id": "r", "experiment_id": "1", "model_version": None},
        ),
        (
            events.StagesEvent(AT, "run", "e" * 64, STAGES),
            {
                "dag_run": "run",
                "environment": "e" * 64,
                "stages": ({"name": "train", "outcome": "ran", "seconds": 12.5, "peak_memory": 300 << 20},),
            },
        ),
        (events.TagEvent(AT, "c" * 40), {"commit": "c" * 40}),
        (events.TagsNotedEvent(AT), {}),
        (
            events.PinnedEvent(AT, "v1.1.0", "c" * 40, "v1.0.0", "ann", "release"),
            {"tag": "v1.1.0", "commit": "c" * 40, "before": "v1.0.0", "by": "ann", "why": "release"},
        ),
        (events.UnrepeatableEvent(AT, "run", "prep/dvc.yaml:draw"), {"dag_run": "run", "stage": "prep/dvc.yaml:draw"}),
        (events.RemovedEvent(AT, 30), {"keep_days": 30}),
        (events.StoredEvent(AT), {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, events.Event) else "",
)
def test_the_document_of_an_event_has_the_fields_that_ledgers_hold(
    event: events.Event, document: dict[str, Any]
) -> None:
    assert event.to_dict() == {"at": AT, **document}


def test_an_event_is_read_as_it_was_written() -> None:
    event = events.MirroredEvent(AT, "r", "1", "3")
    assert events.read(events.MirroredEvent, event.to_dict(), "0001-mlflow") == event


def test_a_field_of_a_newer_deployment_is_left_out() -> None:
    event = events.TagEvent(AT, "c" * 40)
    assert events.read(events.TagEvent, {**event.to_dict(), "signed": True}, "tags/v1.0.0") == event


def test_an_event_that_lacks_a_field_is_named_with_it() -> None:
    with pytest.raises(RecordError, match=r"The event tags/v1\.0\.0 has no 'commit'"):
        events.read(events.TagEvent, {"at": AT}, "tags/v1.0.0")


def test_an_event_without_its_time_is_read() -> None:
    assert events.read(events.TagEvent, {"commit": "c" * 40}, "tags/v1.0.0") == events.TagEvent("", "c" * 40)
