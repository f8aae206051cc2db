"""The data and the modules that stages need and a fresh clone does not give them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from adoption.repositories import code, described, out, seen, snapshot, stage, tracked

from retrain.adoption import days, inputs_of_stages, layout, own_modules
from retrain.adoption.inputs_of_stages import laid, needed
from retrain.adoption.observation import Effect
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.proposal import propose
from retrain.work.dvc.declared import Stage


def test_absent_data_is_laid_by_inputs_and_absent_code_stops() -> None:
    found = code(
        stage("prepare", "python a.py", deps=["data/raw.csv", "lib/gone.py"], outs=["clean.csv"]),
        missing=["data/raw.csv", "lib/gone.py", "clean.csv"],
    )
    proposed = laid(needed(found))
    assert [each.path for each in proposed] == ["data/raw.csv"]
    observations = list(inputs_of_stages.observations(found, proposed, {}))
    assert seen(observations, Effect.SURPRISES, "inputs: [{path: data/raw.csv")
    assert [each.where for each in seen(observations, Effect.STOPS)] == ["lib/gone.py"]


def test_data_of_a_dvc_file_is_laid_by_inputs() -> None:
    found = code(
        stage("prepare", "python a.py", deps=["data/raw"], outs=["clean.csv"]),
        tracked=(tracked("data/raw"),),
        missing=["data/raw"],
    )
    (each,) = laid(needed(found))
    assert (each.path, each.kind, each.where) == ("data/raw", "tracked", "data/raw.dvc")


@pytest.mark.parametrize(
    ("paths", "changes", "chosen"),
    [
        (["data/raw.csv", "data/codes.csv"], {}, ["data/raw.csv"]),
        (["data/a.csv", "data/b.csv"], {}, ["data/a.csv", "data/b.csv"]),
        (["data/train.csv", "data/test.csv"], {}, ["data/train.csv"]),
        (["data/orders.csv", "data/holidays.csv"], {"data/holidays.csv": {"imported": True}}, ["data/orders.csv"]),
        (["data/holidays.csv"], {"data/holidays.csv": {"imported": True}}, ["data/holidays.csv"]),
        (["data/raw.csv", "data/lost.csv"], {"data/lost.csv": {"md5": None}}, ["data/lost.csv"]),
        (["data/raw.csv"], {"data/day.csv": {}}, ["data/day.csv"]),
    ],
    ids=["raw", "none looks raw", "a split", "an import beside own data", "an import alone", "no MD5", "absent data"],
)
def test_of_tracked_data_on_a_remote_only_the_likely_data_of_the_day_is_laid_and_the_rest_is_noted(
    paths: list[str], changes: dict[str, dict[str, Any]], chosen: list[str]
) -> None:
    files = []
    for path in paths:
        given = dict(changes.get(path, {}))
        imported = given.pop("imported", False)
        files.append(replace(tracked(path, **given), imported=imported))
    absent = [path for path in changes if path not in paths]
    found = code(
        stage("train", "python a.py", deps=[*paths, *absent], outs=["m.pkl"]),
        texts={".dvc/config": S3},
        tracked=tuple(files),
        missing=[*paths, *absent],
    )
    proposal = propose(found.snapshot, None, found)
    assert [each.path for each in proposal.inputs] == chosen
    noted = seen(inputs_of_stages.observations(found, list(proposal.inputs), {}), Effect.NOTED, "name it under inputs")
    assert [each.where for each in noted] == [path for path in paths if path not in chosen]


def test_tracked_data_on_a_remote_is_laid_too_if_an_outcome_would_else_be_the_same_every_day() -> None:
    paths = ["data/raw.csv", "data/sales.csv"]
    found = code(
        stage("one", "python a.py", deps=paths[:1], outs=["a.pkl"]),
        stage("two", "python b.py", deps=paths[1:], outs=["b.pkl"]),
        texts={".dvc/config": S3},
        tracked=tuple(map(tracked, paths)),
        missing=paths,
    )
    assert [each.path for each in propose(found.snapshot, None, found).inputs] == paths


def test_tracked_data_on_a_remote_is_not_laid_if_a_stage_fetches_the_day_s_data() -> None:
    found = code(
        stage("get", "python get.py", deps=["get.py"], outs=["rates.csv"]),
        stage("train", "python a.py", deps=["rates.csv", "data/raw.csv"], outs=["m.pkl"]),
        texts={".dvc/config": S3, "get.py": "import requests\nrequests.get('https://rates.example.org/x')\n"},
        tracked=(tracked("data/raw.csv"),),
        missing=["data/raw.csv"],
    )
    proposal = propose(found.snapshot, None, found)
    assert (proposal.inputs, list(proposal.fetch), proposal.has_raw) == ((), ["get"], False)


def test_a_dependency_in_a_submodule_is_no_input() -> None:
    train = stage("train", "python a.py", deps=["units/raw.csv", "data/raw.csv"], outs=["m.pkl"])
    found = PipelineCode.of(snapshot(units="160000"), described(train, missing=["units/raw.csv", "data/raw.csv"]))
    assert [each.path for each in needed(found)] == ["data/raw.csv"]


S3 = "['remote \"theirs\"']\n    url = s3://bucket/dvc\n"
DISK = "['remote \"mine\"']\n    url = /home/me/dvc\n"


@pytest.mark.parametrize(
    ("config", "changes", "effect", "words"),
    [
        pytest.param(S3, {}, Effect.NOTED, "fetches it from remote theirs (s3)", id="the only remote"),
        pytest.param(
            S3 + DISK, {"remote": "Theirs"}, Effect.NOTED, "remote Theirs (s3)", id="the remote that it names"
        ),
        pytest.param(
            S3.replace("s3", "gs"), {}, Effect.SURPRISES, "RETRAIN_DVC_EXTRAS", id="a remote that needs an extra"
        ),
        pytest.param("", {}, Effect.STOPS, "no DVC remote", id="no remote"),
        pytest.param(S3 + DISK, {}, Effect.STOPS, "none of the remotes is the default", id="no default remote"),
        pytest.param(S3, {"remote": "gone"}, Effect.STOPS, "has no remote gone", id="a remote that is not there"),
        pytest.param(DISK, {}, Effect.STOPS, "a path of somebody's disk", id="a path"),
        pytest.param(S3, {"md5": None}, Effect.STOPS, "no MD5", id="no MD5"),
    ],
)
def test_tracked_data_that_no_day_brings_is_fetched_or_stops(
    config: str, changes: dict[str, Any], effect: Effect, words: str
) -> None:
    paths = ["models/base", "words.onnx"]
    found = code(
        stage("train", "python a.py", deps=[*paths, "data/raw.csv"], outs=["m.pkl"]),
        texts={".dvc/config": config},
        tracked=tuple(tracked(path, **changes) for path in (*paths, "data/raw.csv")),
        missing=[*paths, "data/raw.csv"],
    )
    proposed = laid(needed(found))
    assert [each.path for each in proposed] == ["data/raw.csv"]
    seen_here = seen(inputs_of_stages.observations(found, proposed, {}), effect, words)
    assert [each.where for each in seen_here if each.where in paths] == paths


def test_committed_data_that_a_source_reads_surprises() -> None:
    found = code(stage("train", "python a.py", deps=["data/raw.csv"], outs=["m.pkl"]), texts={"data/raw.csv": "1\n"})
    observations = inputs_of_stages.observations(found, laid(needed(found)), {})
    assert seen(observations, Effect.SURPRISES, "train on the same rows")


def test_dependencies_outside_of_the_checkout_are_named() -> None:
    found = list(inputs_of_stages.observations(code(stage("s", "echo", deps=["s3://b/x", "../y"])), [], {}))
    assert seen(found, Effect.SURPRISES, "s3://b/x")
    assert seen(found, Effect.STOPS, "../y")


@pytest.mark.parametrize(
    ("md5", "effect", "words"),
    [("1" * 32, Effect.NOTED, "remote theirs (s3)"), (None, Effect.STOPS, "no MD5")],
    ids=["with an entry in dvc.lock", "without"],
)
def test_an_output_of_a_frozen_stage_is_fetched_by_its_dvc_lock_and_not_laid(
    md5: str | None, effect: Effect, words: str
) -> None:
    found = code(
        stage("ingest", "python a.py", frozen=True, outs=[out("data/raw.csv", locked=md5 is not None, md5=md5)]),
        stage("train", "python b.py", deps=["data/raw.csv"], outs=["m.pkl"]),
        texts={".dvc/config": S3},
        missing=["data/raw.csv"],
    )
    assert laid(needed(found)) == []
    (each,) = seen(inputs_of_stages.observations(found, [], {}), effect, "frozen stage ingest")
    assert words in each.what


def test_committed_raw_data_is_proposed_and_code_in_a_data_folder_is_not() -> None:
    found = code(
        stage("train", "python src/data/a.py", deps=["src/data", "data/raw.csv"], outs=["m.pkl"]),
        texts={"src/data/a.py": "", "src/data/__init__.py": "", "data/raw.csv": "1\n"},
    )
    assert [each.path for each in laid(needed(found))] == ["data/raw.csv"]


def test_a_folder_of_data_without_a_suffix_is_laid_whether_it_is_absent_or_holds_a_readme_only() -> None:
    absent = code(stage("sum", "python a.py", deps=["visits", "src"], outs=["days"]), missing=["visits", "src", "days"])
    assert [each.path for each in laid(needed(absent))] == ["visits"]
    kept = code(
        stage("sum", "python src/a.py", deps=["visits", "src"], outs=["days"]),
        texts={"visits/README.md": "One file a day.\n", "src/a.py": ""},
    )
    assert [each.path for each in laid(needed(kept))] == ["visits"]


@pytest.mark.parametrize(
    ("stages", "texts", "reason"),
    [
        (
            [
                stage("get", "python get.py", outs=[out("data/raw.csv", cached=False)], frozen=True),
                stage("train", "python a.py", deps=["data/raw.csv"], outs=["m.pkl"]),
            ],
            {"data/raw.csv": "1\n"},
            "stage get writes data/raw.csv",
        ),
        (
            [stage("train", "python data/a.py", deps=["data"], outs=["m.pkl"])],
            {"data/raw.csv": "1\n", "data/a.py": ""},
            "stage train runs data/a.py",
        ),
        (
            [stage("train", "python a.py", deps=["raw"], params={"raw/p.yaml": {"x": 1}}, outs=["m.pkl"])],
            {"raw/x.csv": "1\n", "raw/p.yaml": "x: 1\n"},
            "stage train reads params from raw/p.yaml",
        ),
    ],
    ids=["an output", "code", "params"],
)
def test_a_place_that_a_run_would_refuse_is_not_proposed(
    stages: list[Stage], texts: dict[str, str], reason: str
) -> None:
    found = code(*stages, texts=texts)
    proposal = propose(found.snapshot, None, found)
    assert proposal.inputs == ()
    observations = inputs_of_stages.observations(found, [], proposal.refused)
    assert seen(observations, Effect.SURPRISES, f"inputs cannot lay the day's data there: {reason}")
    assert seen(days.observations(found, proposal), Effect.STOPS, "would be the same every day")


def test_absent_data_that_a_run_would_refuse_to_lay_stops() -> None:
    train = stage("train", "python a.py", deps=["data/raw/x.csv"], outs=["m.pkl"])
    found = PipelineCode.of(snapshot(data_raw="120000"), described(train, missing=["data/raw/x.csv"]))
    proposal = propose(found.snapshot, None, found)
    assert proposal.inputs == ()
    assert seen(inputs_of_stages.observations(found, [], proposal.refused), Effect.STOPS, "data/raw is a symbolic link")


def test_data_above_the_checkout_is_not_proposed() -> None:
    found = code(stage("train", "python a.py", deps=["../data/raw.csv"], outs=["m.pkl"]), missing=["../data/raw.csv"])
    assert propose(found.snapshot, None, found).inputs == ()


def test_a_file_in_git_lfs_that_the_day_s_data_replaces_stops_nothing() -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    found = code(stage("train", "python a.py", deps=["data/raw.csv"], outs=["m.pkl"]), texts={"data/raw.csv": pointer})
    assert seen(layout.large_files(found, [], fetched=False), Effect.STOPS, "Git LFS")
    assert [each.effect for each in layout.large_files(found, ["data"], fetched=False)] == [Effect.NOTED]


def test_what_each_run_writes_itself_is_no_input() -> None:
    found = code(
        stage("count", "python a.py", deps=["manifest.json", "run.yaml"], outs=["counted"]),
        missing=["manifest.json", "run.yaml", "counted"],
    )
    assert needed(found) == []


def test_what_another_stage_makes_is_no_input() -> None:
    found = code(
        stage("get", "python a.py", outs=["data"]),
        stage("train", "python b.py", deps=["data/raw.csv"], outs=[out("m.pkl")]),
        missing=["data/raw.csv", "data"],
    )
    assert needed(found) == []


IMPORTS_SRC = {"src/train.py": "from src.u import x\n", "src/u.py": ""}
DEFINED = {"pyproject.toml": "[tool.setuptools.packages.find]\nwhere = ['src']\n"}


@pytest.mark.parametrize(
    ("command", "files", "noted", "folders"),
    [
        pytest.param("python src/train.py", IMPORTS_SRC, "from ./", [], id="the top, which a run adds"),
        pytest.param("python -m src.train", IMPORTS_SRC, "", [], id="started as a module"),
        pytest.param("PYTHONPATH=. python src/train.py", IMPORTS_SRC, "set PYTHONPATH themselves", [], id="PYTHONPATH"),
        pytest.param(
            "python src/train.py", {"src/train.py": "import u\n", "src/u.py": ""}, "", [], id="beside the script"
        ),
        pytest.param(
            "python train.py",
            {"train.py": "import pkg.m\n", "src/pkg/m.py": ""},
            "PYTHONPATH to src",
            ["src"],
            id="src/ without a project",
        ),
        pytest.param(
            "python train.py",
            {"train.py": "import pkg.m\n", "src/pkg/m.py": "", **DEFINED},
            "from src/",
            [],
            id="src/ of a project",
        ),
        pytest.param("python -m pkg.m", {"src/pkg/m.py": ""}, "PYTHONPATH to src", ["src"], id="a module of src/"),
        pytest.param(
            "python train.py",
            {"train.py": "import pkg.m\n", "lib/pkg/m.py": ""},
            "PYTHONPATH to lib",
            ["lib"],
            id="lib/",
        ),
        pytest.param(
            "python src/train.py",
            {"src/train.py": "import sys\nsys.path.append('.')\nfrom src.u import x\n", "src/u.py": ""},
            "",
            [],
            id="a script that extends the path",
        ),
        pytest.param(
            "python src/train.py",
            {"src/train.py": "import u\n", "src/u.py": "import src.v\n", "src/v.py": ""},
            "from ./",
            [],
            id="through a module",
        ),
        pytest.param(
            "cd src && python train.py", {"src/train.py": "import u\n", "src/u.py": ""}, "", [], id="after cd"
        ),
    ],
)
def test_modules_that_an_installation_makes_importable_are_found_in_a_run_or_by_a_proposed_variable(
    command: str, files: dict[str, str], noted: str, folders: list[str]
) -> None:
    found = code(stage("train", command), texts=files)
    observations = list(own_modules.observations(found))
    assert not seen(observations, Effect.STOPS)
    assert bool(seen(observations, Effect.NOTED, noted or "imports")) is bool(noted)
    assert own_modules.needed_folders(found) == folders


def test_a_file_of_python_2_stops() -> None:
    found = own_modules.observations(code(stage("train", "python a.py"), texts={"a.py": "print 'x'\n"}))
    assert seen(found, Effect.STOPS, "no Python 3")
