"""Which stages of a run gave other outputs, and which of them began it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retrain.archive.replay import Compared, Replayed, ReplayedStage, ReplayVerdict, judged
from retrain.archive.stage_differences import differing, first_of, other_inputs, read_from
from retrain.errors import RecordError
from retrain.inputs.stage_graph import StageGraph
from retrain.work.dvc.declared import DeclaredOutput, Stage

OUT = DeclaredOutput("", "out", True, True, False, None, True, "a" * 32, "md5", 1, False)


def stage(name: str, deps: tuple[str, ...], *outs: str, **more: object) -> Stage:
    values = {"file": "dvc.yaml", "cmd": ("true",), "wdir": ".", "frozen": False, "always_changed": False, **more}
    made = tuple(replace(OUT, path=path) for path in outs)
    return Stage(name=name, reached=True, deps=deps, params={}, outs=made, **values)  # type: ignore[arg-type]


GRAPH = StageGraph(
    {
        each.name: each
        for each in (
            stage("draw", ("draw.py",), "data", "drawn.log"),
            stage("fit", ("data/a.csv",), "model"),
            stage("prep/dvc.yaml:note", ("note.py",), "prep/note"),
        )
    }
)


def locks(a_csv: str, code: str = "c" * 32) -> dict[str, bytes]:
    top = f"""
stages:
  draw: {{cmd: draw, deps: [{{path: draw.py, md5: {code}}}]}}
  fit: {{cmd: fit, deps: [{{path: data/a.csv, md5: {a_csv}}}], params: {{params.yaml: {{depth: 3}}}}}}
"""
    nested = "stages:\n  note:\n    cmd: note\n    deps: [{path: note.py, etag: e1}]\n"
    return {"dvc.lock": top.encode(), "prep/dvc.lock": nested.encode()}


def test_a_stage_differs_by_any_of_its_outputs_also_by_one_that_only_one_attempt_has() -> None:
    before = {"data": "1.dir", "model": "2", "prep/note": "3"}
    assert differing(GRAPH, before, before) == frozenset()
    assert differing(GRAPH, before, {**before, "model": "9"}) == {"fit"}
    assert differing(GRAPH, before, {**before, "data": "9.dir"}) == {"draw"}
    assert differing(GRAPH, {**before, "prep/note": ""}, {"data": "1.dir", "model": "2"}) == {"prep/dvc.yaml:note"}


def test_a_stage_whose_inputs_another_stage_changed_did_not_begin_it() -> None:
    assert first_of(frozenset({"draw", "fit"}), GRAPH, locks("1" * 32), locks("2" * 32)) == {"draw"}


def test_a_stage_that_read_the_same_file_of_a_changed_folder_is_named_too() -> None:
    assert first_of(frozenset({"draw", "fit"}), GRAPH, locks("1" * 32), locks("1" * 32)) == {"draw", "fit"}


def test_a_stage_whose_inputs_no_stage_changed_began_it() -> None:
    """It changes its own dependency, or reads what DVC does not see."""
    other = locks("1" * 32, code="d" * 32)
    assert first_of(frozenset({"draw", "fit"}), GRAPH, locks("1" * 32), other) == {"draw", "fit"}
    assert first_of(frozenset({"draw"}), GRAPH, locks("1" * 32), other) == {"draw"}


def test_a_stage_that_read_something_else_is_not_taken_for_one_that_does_not_repeat_itself() -> None:
    """Although DVC or the ledger knows that it does not."""
    first, before, after = frozenset({"draw"}), locks("1" * 32), locks("1" * 32, code="d" * 32)
    inputs = other_inputs(first, GRAPH, before, after)
    assert inputs == {"draw": "deps draw.py"}
    found = {each.name: each for each in judged(GRAPH, first, first, inputs, (), {"draw"})}["draw"]
    assert (found.verdict, found.reason) == (ReplayVerdict.DIFFERENT, "its deps draw.py is not as it was recorded")
    assert other_inputs(first, GRAPH, before, before) == {}
    assert other_inputs(first, GRAPH, {}, after) == {}


def test_an_input_outside_of_the_checkout_may_have_changed_for_a_stage_that_does_not_repeat_itself() -> None:
    world = {"dvc.lock": b"stages: {draw: {cmd: x, deps: [{path: 'https://rates.example/x', etag: a}]}}"}
    later = {"dvc.lock": world["dvc.lock"].replace(b"etag: a", b"etag: b")}
    assert other_inputs(frozenset({"draw"}), GRAPH, world, later) == {}


def test_what_a_stage_read_is_known_by_its_address_whatever_dvc_knows_of_the_file() -> None:
    found = read_from(locks("1" * 32))
    assert found["fit"] == {"cmd": "fit", "deps data/a.csv": "1" * 32, "params params.yaml": "{'depth': 3}"}
    assert found["prep/dvc.yaml:note"] == {"cmd": "note", "deps note.py": "{'etag': 'e1'}"}
    assert read_from({"dvc.lock": b"", "prep/dvc.lock": b"stages:\n"}) == {}


@pytest.mark.parametrize("text", [b"[", b"stages: 3", b"stages: {a: 3}", b"stages: {a: {deps: [{}]}}"])
def test_a_lock_that_is_none_is_named_by_its_path(text: bytes) -> None:
    with pytest.raises(RecordError, match=r"The dvc.lock at prep/dvc\.lock cannot be read"):
        read_from({"prep/dvc.lock": text})


def test_each_stage_of_a_replay_has_a_verdict() -> None:
    more = [stage("always", (), "b"), stage("get", ("x",), "c"), stage("later", ("model",), "d", always_changed=True)]
    again = StageGraph({**GRAPH.stages, **{each.name: each for each in more}})
    changed = frozenset({"draw", "fit", "always", "later", "prep/dvc.yaml:note"})
    found = judged(again, changed, changed - {"fit", "later"}, {}, {"get"}, {"prep/dvc.yaml:note"})
    assert [(each.name, str(each.verdict), each.reason) for each in found] == [
        ("always", "not_repeatable", "it has no dependencies"),
        ("draw", "different", "nothing that it needs from other stages differs"),
        ("fit", "consequence", "it needs the outputs of draw"),
        ("get", "taken", "it fetches its own data"),
        ("later", "consequence", "it needs the outputs of draw"),
        ("prep/dvc.yaml:note", "not_repeatable", "an earlier attempt of the day gave other bytes"),
    ]
    assert judged(again, frozenset(), frozenset(), {}, (), ())[0] == ReplayedStage("always", ReplayVerdict.IDENTICAL)


@pytest.mark.parametrize(
    ("recomputed", "verdict", "well"),
    [
        ("1", ReplayVerdict.IDENTICAL, True),
        ("2", ReplayVerdict.NOT_REPEATABLE, True),
        ("2", ReplayVerdict.CONSEQUENCE, True),
        ("2", ReplayVerdict.DIFFERENT, False),
        (None, ReplayVerdict.NOT_REPEATABLE, False),
    ],
)
def test_a_replay_is_well_if_only_stages_that_are_not_repeatable_differ_and_nothing_is_missing(
    recomputed: str | None, verdict: ReplayVerdict, well: bool
) -> None:
    found = Replayed((Compared("a", "1", recomputed),), 1.0, (), (ReplayedStage("s", verdict),))
    assert found.well is well
