"""Whether the bytes of a release's model can differ from one day to the next, decided on DVC's description alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from described_stages import described, out, stage

from retrain.deployment.run_settings import RunSettings
from retrain.inputs.day_dependence import DayDependence, require
from retrain.inputs.errors import DayIndependentError, FetchStageError
from retrain.work.dvc.description import Description

FIT = stage("fit", "fit.py data/raw", "model.pkl")
DATED = {"params.yaml": {"data.date": "{partition}", "data.rows": 5}}


def settings(**keys: Any) -> RunSettings:
    return RunSettings.model_validate(keys)


def refusal(
    what: Description, static: tuple[str, ...] = (), files: dict[str, list[str]] | None = None, **keys: Any
) -> str:
    """The sentence with which a release is refused; empty if it is not."""

    def files_in(path: str) -> list[str]:
        return (files or {}).get(path, [path])

    try:
        require(DayDependence.of(what, settings(**keys), static, files_in), "v1.2.0")
    except DayIndependentError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("what", "keys"),
    [
        pytest.param(described(FIT), {"inputs": [{"path": "data/raw"}]}, id="an input at the path that a stage reads"),
        pytest.param(described(FIT), {"inputs": [{"path": "data/raw/orders"}]}, id="an input below it"),
        pytest.param(described(FIT), {"inputs": [{"path": "data"}]}, id="an input around it"),
        pytest.param(described(stage("fit", "manifest.json", "m")), {}, id="the manifest"),
        pytest.param(described(stage("fit", "run.yaml", "m")), {}, id="run.yaml as a dependency"),
        pytest.param(
            described(stage("fit", "fit.py", "m", params={"run.yaml": {"partition": "2020-03-05"}})),
            {},
            id="its partition",
        ),
        pytest.param(
            described(stage("fit", "fit.py", "m", params={"run.yaml": {}})), {}, id="run.yaml, which only a run has"
        ),
        *(
            pytest.param(
                described(stage("fit", "fit.py", "m", params={"manifest.json": values})),
                {},
                id=f"the manifest's {values}",
            )
            for values in ({}, {"partition": "2020-03-05"}, {"objects": []})
        ),
        pytest.param(
            described(stage("fit", "fit.py", "m", params={"params.yaml": {"data.date": "x"}})),
            {"params": DATED},
            id="a param that is the date",
        ),
        pytest.param(
            described(stage("fit", "fit.py", "m", params={"params.yaml": {"data.date": "x"}})),
            {"params": {**DATED, "./params.yaml": {"data.rows": 7}}},
            id="a param of a file that is named twice",
        ),
        pytest.param(
            described(stage("fit", "fit.py", "m", params={"params.yaml": {"data": {}}})),
            {"params": DATED},
            id="the section of that param",
        ),
        pytest.param(
            described(stage("fit", "fit.py", "m", templates={"params.yaml": ("data.date",)})),
            {"params": DATED},
            id="that param in its command",
        ),
        pytest.param(
            described(stage("fit", "params.yaml", "m")), {"params": DATED}, id="the params file as a dependency"
        ),
        pytest.param(
            described(stage("get", "get.py", "raw"), stage("fit", "raw", "m")), {"fetch": ["get"]}, id="a fetch"
        ),
        pytest.param(
            described(stage("get@a", "get.py", "raw/a"), stage("get@b", "get.py", "raw/b"), stage("fit", "raw", "m")),
            {"fetch": ["get"]},
            id="a fetch in a foreach",
        ),
        pytest.param(
            described(stage("prep/dvc.yaml:get", "get.py", "raw"), stage("fit", "raw", "m")),
            {"fetch": ["prep/dvc.yaml:get"]},
            id="a fetch in another dvc.yaml",
        ),
        pytest.param(
            described(
                stage("a", "manifest.json", "a.txt"), stage("b", "a.txt", "b"), stage("fit", "b/part zones.csv", "m")
            ),
            {},
            id="others between the day and the model, and a committed table",
        ),
    ],
)
def test_a_release_that_reads_the_day_is_let_through(what: Description, keys: dict[str, Any]) -> None:
    assert refusal(what, **keys) == ""


@pytest.mark.parametrize(
    ("what", "keys"),
    [
        pytest.param(described(FIT), {"inputs": [{"path": "data/raw2"}]}, id="an input elsewhere"),
        pytest.param(described(FIT), {"params": DATED}, id="a param that no stage reads"),
        pytest.param(
            described(stage("fit", "raw.csv", "m", params={"params.yaml": {"data.rows": 5, "data.dates": 1}})),
            {"params": DATED},
            id="the params beside the date",
        ),
        pytest.param(
            described(stage("fit", "raw.csv", "m", params={"run.yaml": {"pipeline": "taxi"}})),
            {},
            id="the name in run.yaml",
        ),
        pytest.param(described(stage("fit", "sub/run.yaml", "m")), {}, id="another run.yaml"),
        pytest.param(
            described(stage("fit", "raw.csv", "m", params={"manifest.json": {"root": "s3://raw"}})),
            {},
            id="what each day's manifest has",
        ),
        pytest.param(
            described(stage("fit", "raw.csv", "m", params={"params.yaml": {"month": "2020-03"}})),
            {"params": {"params.yaml": {"month": "{year}-{month}"}}},
            id="a param that is the month",
        ),
        pytest.param(
            described(stage("get", "manifest.json", "raw", frozen=True), stage("fit", "raw", "m")),
            {},
            id="a frozen stage",
        ),
        pytest.param(
            described(
                stage("get", "manifest.json", "raw"),
                stage("mid", "raw", "mid.txt", frozen=True),
                stage("fit", "mid.txt", "m"),
            ),
            {},
            id="the day behind a frozen stage",
        ),
        pytest.param(
            described(stage("get", "manifest.json", "raw", reached=False), stage("fit", "raw", "m")),
            {},
            id="a stage that is not run",
        ),
    ],
)
def test_a_release_whose_outcome_no_day_changes_is_refused(what: Description, keys: dict[str, Any]) -> None:
    assert "would be the same every day" in refusal(what, **keys)


def test_the_refusal_names_the_outcome_the_stages_and_every_key_that_fixes_it() -> None:
    chain = described(stage("get", "get.py", "raw"), stage("fit", "raw", "model.pkl"), model="model.pkl")
    assert refusal(chain) == (
        "The model model.pkl of v1.2.0 would be the same every day: no stage behind it (fit, get) depends on the day, so DVC would "
        "return the first day's outputs for ever. In the pipeline's file name the path that the stages read under inputs, or the param "
        'that is the date under params ("{partition}"), or a stage that fetches its own data under fetch, or one whose outputs are '
        "meant to be the same every day under static."
    )


def test_the_model_decides_and_without_one_each_metrics_file_and_without_these_each_last_output() -> None:
    train = stage("train", "manifest.json", "model.pkl")
    report = stage("report", "table.csv", "report.json other.csv")
    assert refusal(described(train, report, model="model.pkl", metrics=["report.json"])) == ""
    assert "metrics file report.json" in refusal(described(train, report, metrics=["report.json"]))
    assert "output report.json (and 1 more)" in refusal(described(train, report))


def test_a_model_that_no_stage_makes_leaves_the_decision_to_the_metrics() -> None:
    fixed = described(stage("score", "manifest.json model.pkl", "m.json"), model="model.pkl", metrics=["m.json"])
    assert refusal(fixed) == ""
    assert "metrics file m.json" in refusal(replace(fixed, stages=(stage("score", "table.csv", "m.json"),)))


def test_a_model_in_a_folder_that_a_stage_makes_is_that_stage_s() -> None:
    assert refusal(described(stage("train", "manifest.json", "models"), model="models/best")) == ""
    assert "model models/best" in refusal(described(stage("train", "table.csv", "models"), model="models/best"))


TWO_WAYS = (stage("day", "manifest.json", "day.txt"), stage("fit", "day.txt raw.csv", "model.pkl"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(
            stage("get", "get.py conf/config.json", "raw.csv"), "DVC runs it once", id="code and configuration"
        ),
        pytest.param(stage("get", "src", "raw.csv"), "DVC runs it once", id="a folder of code"),
        pytest.param(
            stage("get", "get.py", "raw.csv", params={"params.yaml": {"n": 1}}), "DVC runs it once", id="params"
        ),
        pytest.param(stage("get", "", "raw.csv"), "DVC runs it at every attempt", id="no dependencies"),
        pytest.param(
            stage("get", "get.py", "raw.csv", always_changed=True), "DVC runs it at every attempt", id="always changed"
        ),
        pytest.param(stage("get", "s3://lake/now.csv", "raw.csv"), "DVC runs it at every attempt", id="an address"),
    ],
)
def test_a_source_that_makes_data_from_nothing_of_the_day_is_refused_unless_it_is_named(source: Any, said: str) -> None:
    what, files = described(*TWO_WAYS, source, model="model.pkl"), {"src": ["src/a.py", "src/b/c.sh"]}
    sentence = refusal(what, files=files)
    assert sentence.startswith("Stage get of v1.2.0")
    assert said in sentence
    assert refusal(what, files=files, fetch=["get"]) == ""
    assert refusal(what, files=files, static=("get",)) == ""


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        pytest.param(stage("get", "get.py zones.csv", "raw.csv"), {}, id="it reads a committed table"),
        pytest.param(stage("get", "get.py data", "raw.csv"), {}, id="it reads a folder with data in it"),
        pytest.param(
            stage("get", "get.py raw.json", "raw.csv"), {"tracked": {"r.dvc": "raw.json"}}, id="DVC tracks its data"
        ),
        pytest.param(stage("get", "get.py", "raw.csv", frozen=True), {}, id="it is frozen"),
        pytest.param(stage("get", "get.py", "elsewhere.csv"), {}, id="the model does not need it"),
        pytest.param(stage("get", "get.py day.txt", "raw.csv"), {}, id="another stage comes before it"),
    ],
)
def test_a_source_with_data_of_its_own_is_let_through(source: Any, changes: dict[str, Any]) -> None:
    files = {"data": ["data/readme.md", "data/zones.parquet"]}
    assert refusal(described(*TWO_WAYS, source, model="model.pkl", **changes), files=files) == ""


def test_an_outcome_that_is_meant_to_be_the_same_every_day_is_let_through() -> None:
    assert refusal(described(stage("fit", "zones.csv", "model.pkl"), model="model.pkl"), static=("fit",)) == ""


@pytest.mark.parametrize("key", ["fetch", "static"])
@pytest.mark.parametrize("name", ["load", "get@c", "other/dvc.yaml:get", "unreached"])
def test_a_name_that_is_no_stage_is_refused_with_the_stages_that_there_are(key: str, name: str) -> None:
    what = described(stage("get@a", "", "a"), stage("get@b", "", "b"), stage("unreached", "", "u", reached=False))
    keys: dict[str, Any] = {"static": (name,)} if key == "static" else {"fetch": [name]}
    with pytest.raises(FetchStageError, match=rf"^{key} in the pipeline's file names {name}, .*\(its stages: get\)"):
        refusal(what, **keys)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"outs": (out("raw.csv", cached=False),)}, "does not store its output raw.csv", id="cache: false"),
        pytest.param({"outs": (out("raw.csv", pushed=False),)}, "does not store its output raw.csv", id="push: false"),
        pytest.param({"outs": ()}, "no outputs", id="no outputs"),
        pytest.param({"frozen": True}, "frozen", id="frozen"),
    ],
)
def test_a_fetch_that_nobody_could_take_again_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(FetchStageError, match=said):
        refusal(described(replace(stage("get", "get.py", "raw.csv"), **changes)), fetch=["get"])


def test_the_run_s_files_are_those_of_its_folder() -> None:
    """`run.yaml` at the top of the project is another file when the pipeline is in a folder of it."""
    by_param = stage("fit", "fit.py", "m", params={"ml/run.yaml": {"partition": "2020-03-05"}})
    for read in (stage("fit", "ml/manifest.json", "m"), by_param):
        day = DayDependence.of(described(read), RunSettings(), (), lambda path: [path], "ml")
        assert day.dependent == {"fit"}
    day = DayDependence.of(described(stage("fit", "run.yaml", "m")), RunSettings(), (), lambda path: [path], "ml")
    assert day.dependent == frozenset()
