from __future__ import annotations

from pathlib import Path

import pytest
from adoption.repositories import code, model, out, seen, snapshot, stage, tracked

from retrain.adoption import days, imported_packages, packages, proposed_file
from retrain.adoption.errors import PipelineFileExistsError
from retrain.adoption.observation import Effect
from retrain.adoption.packages import Chosen
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.proposal import Proposal, propose
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import ConfigurationError


def proposed(found: PipelineCode, chosen: Chosen | None = None) -> tuple[Proposal, Deployment]:
    proposal = propose(found.snapshot, chosen, found)
    text = proposed_file.render("theirs", proposal, found.snapshot.commit)
    return proposal, proposed_file.valid("theirs", text)


FETCHES = {"get.py": "import requests\nrequests.get('https://data.example.org/x.csv')\n"}


def test_a_file_with_every_section_is_valid() -> None:
    found = code(
        stage(
            "prepare",
            "python a.py",
            deps=["data/raw", "lookup.csv"],
            outs=["clean.csv"],
            params={"params.yaml": {"data.end_date": "2024-01-31"}},
        ),
        stage("get", "python get.py", deps=["get.py"], outs=["more.csv"]),
        stage(
            "train", "python b.py", deps=["clean.csv", "more.csv"], outs=["m.pkl", out("metrics.json", kind="metric")]
        ),
        texts=FETCHES,
        tracked=(tracked("data/raw"),),
        missing=["data/raw", "lookup.csv"],
        artifacts=(model("m.pkl"),),
        metrics={"metrics.json": {}},
    )
    _, deployment = proposed(found, Chosen("envs/train", "requirements.txt"))
    assert deployment.repository.url == found.snapshot.url
    assert deployment.repository.environment == "envs/train"
    assert [(each.path, each.names, each.objects) for each in deployment.inputs] == [
        ("data/raw", "flat", "*"),
        ("lookup.csv", "file", "lookup*.csv"),
    ]
    assert deployment.params == {"params.yaml": {"data.end_date": "{partition}"}}
    assert deployment.fetch == ("get",)
    assert deployment.tracking.model == "theirs"
    assert deployment.raw is not None


def test_a_pipeline_that_fetches_all_its_data_gets_no_raw() -> None:
    found = code(stage("get", "python get.py", deps=["get.py"], outs=["x.csv"]), texts=FETCHES)
    proposal, deployment = proposed(found)
    assert (deployment.raw, deployment.fetch) == (None, ("get",))
    assert seen(days.observations(found, proposal), Effect.SURPRISES, "seems to fetch its own data")


def test_a_param_that_looks_like_the_day_is_proposed() -> None:
    params = {"params.yaml": {"data.date": "2024-01-31", "data.start_date": "2023-01-01", "train.days": 3}}
    found = code(stage("train", "python a.py", params=params, outs=["m.pkl"]))
    proposal, deployment = proposed(found)
    assert deployment.params == {"params.yaml": {"data.date": "{partition}"}}
    assert seen(
        days.observations(found, proposal), Effect.SURPRISES, 'params: {params.yaml: {data.date: "{partition}"}}'
    )


def test_a_stage_that_others_feed_is_not_proposed_for_fetch() -> None:
    found = code(
        stage("prepare", "python a.py", deps=["data/raw.csv"], outs=["clean.csv"]),
        stage("get", "python get.py", deps=["get.py", "clean.csv"], outs=["x.csv"]),
        texts=FETCHES,
        missing=["data/raw.csv"],
    )
    assert proposed(found)[0].fetch == {}


def test_a_fetch_in_a_module_that_the_stage_imports_is_found() -> None:
    texts = {"src/get.py": "from src import load\n", "src/load.py": "import boto3\n", "src/__init__.py": ""}
    found = code(stage("get", "python -m src.get", deps=["params.yaml"], outs=["x.csv"]), texts=texts)
    assert list(proposed(found)[0].fetch) == ["get"]


def test_names_that_would_break_yaml_are_quoted() -> None:
    found = code(
        stage("no", "curl x", outs=["x.csv"]),
        stage('odd: "name" #', "curl y", outs=["y.csv"]),
    )
    assert proposed(found)[1].fetch == ("no", 'odd: "name" #')


def test_a_stage_s_name_or_command_brings_neither_a_key_nor_a_secret_into_the_file() -> None:
    found = code(
        stage("get\rstore: s3://theirs/dvc", "python get.py https://u:hunter2@h.example.org/x.csv", outs=["x.csv"]),
        stage("train\u2028owner", "python a.py", deps=["data/raw.csv", "x.csv"], outs=["m.pkl"]),
        missing=["data/raw.csv"],
    )
    proposal = propose(found.snapshot, None, found)
    text = proposed_file.render("theirs", proposal, found.snapshot.commit)
    assert len(proposal.fetch) == len(proposal.inputs) == 1
    assert "hunter2" not in text
    assert proposed_file.valid("theirs", text).store == "s3://placeholder-bucket/dvc"
    comments = [line for line in text.splitlines() if line.startswith(("owner", "store"))]
    assert comments == [
        "owner: theirs                # CHANGE: the team that alerts name",
        "store: s3://${RETRAIN_STORE_BUCKET}/dvc",
    ]


def test_without_a_description_the_file_is_valid_too() -> None:
    proposal = propose(snapshot({}), None, None)
    assert proposed_file.valid("theirs", proposed_file.render("theirs", proposal, "0" * 40)).inputs == ()


def test_a_pipeline_of_code_alone_stops_because_every_day_would_be_the_same() -> None:
    texts = {"a.py": "from sklearn.datasets import load_iris\nload_iris()\n"}
    found = code(stage("train", "python a.py", deps=["a.py"], outs=["m.pkl"]), texts=texts)
    observations = list(days.observations(found, proposed(found)[0]))
    assert seen(observations, Effect.STOPS, "same every day")
    assert seen(observations, Effect.SURPRISES, "sklearn.datasets.load_iris")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        proposed_file.write(tmp_path / "nowhere" / "theirs.yaml", "x")


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text("mine")
    with pytest.raises(PipelineFileExistsError, match="WRITE"):
        proposed_file.refuse_existing(path)
    with pytest.raises(PipelineFileExistsError):
        proposed_file.write(path, "theirs")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ({"uv.lock": "", "pyproject.toml": ""}, "."),
        ({"src/requirements.txt": ""}, "src"),
        ({"pyproject.toml": "[tool.ruff]\n", "a/requirements.txt": ""}, "a"),
        ({"a/requirements.txt": "", "b/requirements.txt": ""}, None),
        ({"environment.yaml": ""}, None),
        ({"venv/lib/site-packages/x/requirements.txt": ""}, None),
    ],
)
def test_the_environment_is_the_top_s_or_the_only_one(files: dict[str, str], folder: str | None) -> None:
    chosen = packages.choose(snapshot(files))
    assert (chosen.folder if chosen else None) == folder
    assert bool(seen(packages.files(snapshot(files), chosen), Effect.STOPS)) is (folder is None)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"src/requirements.txt": "a==1"}, "repository.environment: src"),
        ({"pyproject.toml": "[project]\n", "poetry.lock": ""}, "poetry.lock (Poetry's lock): is not read"),
        ({"requirements.txt": "# nothing\n"}, "names no package"),
        ({"requirements.txt": "a==1\nb>=2\nc @ git+https://h/c@1\n"}, "1 of 3 packages have no exact version (b>=2)"),
        ({"pyproject.toml": "[project]\n"}, "has no lock beside it"),
    ],
)
def test_an_environment_that_may_change_or_is_read_in_part_surprises(files: dict[str, str], words: str) -> None:
    found = packages.files(snapshot(files), packages.choose(snapshot(files)))
    assert seen(found, Effect.SURPRISES, words)


def test_a_python_version_that_cannot_be_read_surprises() -> None:
    files = snapshot({"pyproject.toml": "[project]\nrequires-python = 'three'\n"})
    assert seen(packages.python(files, packages.choose(files)), Effect.SURPRISES, "no specifier")


@pytest.mark.parametrize(
    ("files", "stopped"),
    [
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.99'\n"}, True),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.9'\n"}, False),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^2.7'\n"}, True),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.9'\n"}, False),
        ({"environment.yaml": "dependencies:\n  - python=3.7\n"}, None),
        ({".python-version": "3.6.1\n"}, None),
    ],
)
def test_the_python_that_a_repository_wants_is_compared_with_a_run_s(
    files: dict[str, str], stopped: bool | None
) -> None:
    found = list(packages.python(snapshot(files), packages.choose(snapshot(files))))
    expected = {True: [Effect.STOPS], False: [], None: [Effect.SURPRISES]}[stopped]
    assert [each.effect for each in found] == expected


def test_an_import_that_no_package_brings_stops_if_its_package_is_known() -> None:
    texts = {"a.py": "import os\nimport pandas\nimport sklearn\nimport odd\nimport mine\n", "mine.py": ""}
    found = imported_packages.imported(code(stage("s", "python a.py"), texts=texts), frozenset({"pandas"}))
    assert [(each.effect, each.fix) for each in found] == [
        (Effect.SURPRISES, "add odd to the environment's file."),
        (Effect.STOPS, "add scikit-learn to the environment's file."),
    ]


def test_the_proposed_file_names_no_shell_of_its_reader() -> None:
    """Nothing of a repository can end a comment and begin a key."""
    found = code(stage("get", "curl x", outs=["x\nevil: 1.csv"]))
    text = proposed_file.render("theirs", propose(found.snapshot, None, found), "0" * 40)
    assert not any(line.startswith("evil") for line in text.splitlines())
