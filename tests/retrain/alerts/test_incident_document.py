"""The document of an incident: files of earlier watches are read, and files are written as earlier watches read them."""

from __future__ import annotations

import json

import pytest

from retrain.alerts.incident import Entry, Incident, Situation
from retrain.alerts.incident_document import SCHEMA_VERSION, from_fields, to_json
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Step

VERSION_2 = {
    "schema_version": 2,
    "key": {"pipeline": "ours", "kind": "task_failed", "subject": "push"},
    "opened_at": "2020-03-18T06:00:00.000+00:00",
    "task": "push",
    "facts": {"evidence": "S3 answered 503"},
    "partitions": {"2020-03-17": True},
    "entries": [
        {
            "id": "ours/day/push/3/trouble",
            "at": "2020-03-18T06:00:00.000+00:00",
            "step": "trouble",
            "partition": "2020-03-17",
            "facts": {"evidence": "S3 answered 503"},
            "pictures": [["error.png", "the error by day"]],
            "loud": False,
        }
    ],
    "resolved_at": "2020-03-18T07:00:00.000+00:00",
    "situation": {
        "as_of": "2020-03-18T05:59:00+00:00",
        "champion": "12",
        "champion_partition": "2020-03-16",
        "last_good": "2020-03-16",
        "last_good_at": None,
        "release": "v1.2.0",
        "unknown": None,
        "timezone": "UTC",
    },
}


def fields() -> dict[str, object]:
    return {name: value for name, value in VERSION_2.items() if name != "schema_version"}


def test_a_document_of_version_2_is_read_and_written_as_it_was() -> None:
    incident = from_fields(**fields())
    assert (incident.key, incident.resolved_at) == (
        Key("ours", Kind.TASK_FAILED, "push"),
        "2020-03-18T07:00:00.000+00:00",
    )
    (entry,) = incident.entries
    assert (entry.step, entry.pictures) == (Step.TROUBLE, (("error.png", "the error by day"),))
    assert incident.situation is not None
    assert incident.situation.release == "v1.2.0"
    assert SCHEMA_VERSION == 2
    assert to_json(incident) == json.dumps(VERSION_2, sort_keys=True, indent=1) + "\n"


def test_an_incident_without_a_situation_is_read_back_as_it_was() -> None:
    entry = Entry("a", "2020-03-18T06:00:00.000+00:00", Step.TROUBLE, None, {}, loud=True)
    incident = Incident(Key("ours", Kind.RELEASE_REFUSED, ""), entry.at, None, {}, entries=(entry,))
    written = json.loads(to_json(incident))
    del written["schema_version"]
    assert from_fields(**written) == incident


def test_a_situation_of_version_1_has_no_reason_to_be_unknown() -> None:
    known = {name: value for name, value in VERSION_2["situation"].items() if name != "unknown"}
    assert from_fields(**{**fields(), "situation": known}).situation == Situation(**VERSION_2["situation"])


@pytest.mark.parametrize(
    "wrong", [{"key": {}}, {"entries": [{"id": "a"}]}, {"situation": {"mood": "x"}}, {"mood": "x"}]
)
def test_fields_that_no_incident_has_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        from_fields(**{**fields(), **wrong})
