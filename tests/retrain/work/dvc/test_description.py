import json
from dataclasses import replace

import pytest

from retrain.errors import DescriptionError, RecordVersionError, ReportError
from retrain.work.dvc.declared import DeclaredOutput, Stage
from retrain.work.dvc.description import SCHEMA_VERSION, Description
from retrain.work.dvc.outputs import Output

OUT = DeclaredOutput("m.json", "metric", True, True, False, None, True, "1" * 32, "md5", 3, False)
STAGE = Stage("a", "dvc.yaml", ("x",), ".", False, False, True, (), {"params.yaml": {"a.b": [1, 2]}}, (OUT,))
DESCRIPTION = Description((STAGE,), {"m.json": {"loss": 0.5}}, ("p.csv",), (), (), ("lost",), {})


def outputs(*paths: str) -> list[Output]:
    return [Output("s", path, "1" * 32, 1) for path in paths]


def test_a_description_is_the_same_after_it_was_written_and_read() -> None:
    spoilt = replace(DESCRIPTION, metrics={"m.json": {}}, unreadable={"m.json": "no JSON"})
    for described in (DESCRIPTION, spoilt):
        assert Description.from_json(described.to_json(), "it") == described


def test_a_description_of_a_newer_deployment_is_refused_by_its_version() -> None:
    newer = {**json.loads(DESCRIPTION.to_json()), "schema_version": SCHEMA_VERSION + 1, "more": 1}
    with pytest.raises(RecordVersionError, match=r"description of 2020-03-05 has schema_version \d+, .* up to \d+"):
        Description.from_json(json.dumps(newer), "2020-03-05")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": "1"}',
        '{"schema_version": 1}',
        b"\xff",
        '{"schema_version": 1, "stages": [1]}',
    ],
)
def test_what_is_no_description_is_an_error_of_ours(text: str | bytes) -> None:
    with pytest.raises(DescriptionError, match=r"^The description of 2020-03-05 cannot be read"):
        Description.from_json(text, "2020-03-05")


@pytest.mark.parametrize(("cached", "pushed"), [(False, True), (True, False)])
def test_only_what_dvc_keeps_and_sends_has_to_be_on_the_remote(cached: bool, pushed: bool) -> None:
    stage = replace(STAGE, outs=(OUT, replace(OUT, path="scratch", cached=cached, pushed=pushed)))
    described = replace(DESCRIPTION, stages=(stage,))
    assert [(output.path, output.stored) for output in described.outputs] == [("m.json", True), ("scratch", False)]
    assert [output.path for output in described.stored] == ["m.json"]


def test_a_metrics_file_that_cannot_be_read_is_an_error_and_not_a_missing_metric() -> None:
    with pytest.raises(ReportError, match=r"m\.json cannot be read: no JSON\. Fix the stage"):
        replace(DESCRIPTION, unreadable={"m.json": "no JSON"}).metric_values()


def test_outputs_are_found_by_their_path_by_what_they_hold_and_by_their_folder() -> None:
    every = outputs("reports", "model", "plots/a.csv", "plots/b.csv", "reports2", "mod")
    found = Description.within(["reports/m.json", "plots", "model"], every)
    assert [output.path for output in found] == ["reports", "model", "plots/a.csv", "plots/b.csv"]
