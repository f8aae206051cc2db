from __future__ import annotations

from pathlib import Path

import pytest
from adoption.repositories import code, model, out, seen, snapshot, stage, tracked

from retrain.adoption import days, imported_packages, packages, proposed_file
from retrain.adoption.errors import PipelineFileExistsError
from retrain.adoption.observation import Effect
from retrain.adoption.packages import Chosen
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.project_place import ProjectPlace
from retrain.adoption.proposal import Proposal, propose
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import ConfigurationError
from retrain.work.environments import sources


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
        tracked=(tracked("data/raw", md5=f"{'1' * 32}.dir"),),
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
        ({"pyproject.toml": "[tool.poetry]\n", "poetry.lock": ""}, "."),
        ({"Pipfile": "", "Pipfile.lock": ""}, "."),
        ({"setup.py": "setup(install_requires=[])"}, "."),
        ({"requirements/base.txt": "a"}, "requirements/base.txt"),
        ({"requirements/base.txt": "a", "requirements/dev.txt": "b"}, None),
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


def test_the_environment_of_the_pipeline_s_own_folder_comes_before_the_top_s() -> None:
    files = snapshot({"requirements.txt": "a", "a/requirements.txt": "b", "b/uv.lock": ""})
    assert [packages.choose(files, folder) for folder in ("a", "c")] == [
        Chosen("a", "requirements.txt"),
        Chosen(".", "requirements.txt"),
    ]
    assert not seen(packages.files(files, Chosen("a", "requirements.txt"), "a"), Effect.SURPRISES, "where a run looks")
    assert seen(packages.files(files, Chosen(".", "requirements.txt"), "c"), Effect.SURPRISES, "is not in c, where")


def test_a_member_of_a_workspace_has_the_packages_of_its_lock() -> None:
    top = {"pyproject.toml": "[tool.uv.workspace]\nmembers = ['ml/*']\n", "uv.lock": ""}
    files = snapshot(
        {**top, "ml/taxi/pyproject.toml": "[project]\nname = 'taxi'\n", "lib/pyproject.toml": "[project]\n"}
    )
    found = {place: list(packages.files(files, packages.choose(files, place), place)) for place in ("ml/taxi", "lib")}
    assert seen(found["ml/taxi"], Effect.NOTED, "whose packages uv.lock has")
    assert not seen(found["ml/taxi"], Effect.SURPRISES, "has no lock beside it")
    assert seen(found["lib"], Effect.SURPRISES, "has no lock beside it")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"src/requirements.txt": "a==1"}, "repository.environment: src"),
        ({"requirements.txt": "a==1", "environment.yml": ""}, "environment.yml (a conda environment): is not read"),
        ({"pyproject.toml": "[project]\n", "poetry.lock": "", "uv.lock": ""}, "poetry.lock (a lock): is not read"),
        ({"needs/requirements-prod.txt": "a==1"}, "repository.environment: needs/requirements-prod.txt"),
        ({"requirements.txt": "# nothing\n"}, "names no package"),
        ({"requirements.txt": "--index-url https://h/simple\n"}, "names no package"),
        ({"requirements.txt": "a; python_version == '3.8'\n"}, "1 of 1 packages have no exact version"),
        ({"requirements.txt": "a==1\nb>=2\nc @ git+https://h/c@1\n"}, "1 of 3 packages have no exact version (b>=2)"),
        ({"pyproject.toml": "[project]\n"}, "has no lock beside it"),
    ],
)
def test_an_environment_that_may_change_or_is_read_in_part_surprises(files: dict[str, str], words: str) -> None:
    found = packages.files(snapshot(files), packages.choose(snapshot(files)))
    assert seen(found, Effect.SURPRISES, words)


@pytest.mark.parametrize("text", ["-r base.txt\n", "-e .\n", "a==1 \\\n  --hash=sha256:aa\nb===2\n"])
def test_requirements_that_other_files_name_or_that_are_all_pinned_do_not_surprise(text: str) -> None:
    files = snapshot({"requirements.txt": text})
    assert list(packages.files(files, packages.choose(files))) == []


@pytest.mark.parametrize(
    ("more", "folder"),
    [
        pytest.param({}, "ml/taxi", id="its own"),
        pytest.param({"requirements.txt": "b"}, "ml/taxi", id="its own, beside another team's at the top"),
        pytest.param({"pyproject.toml": "[project]", "uv.lock": ""}, "ml/taxi", id="its own, beside a lock at the top"),
    ],
)
def test_the_environment_is_that_of_the_pipeline_s_folder_without_a_key_for_it(
    more: dict[str, str], folder: str
) -> None:
    files = snapshot({"ml/taxi/requirements.txt": "a==1", **more})
    chosen = packages.choose(files, "ml/taxi")
    assert chosen
    assert chosen.folder == folder
    found = list(packages.files(files, chosen, "ml/taxi"))
    assert bool(seen(found, Effect.SURPRISES, "is not in ml/taxi, where a run looks first")) is (folder == ".")
    assert not seen(found, Effect.SURPRISES, "at the top")


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
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '3.*'\n"}, False),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '~2.7 || ^3.9'\n"}, False),
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
    assert all(("packages: {lock: <name>.txt}" in each.fix) is (stopped is True) for each in found)


@pytest.mark.parametrize(
    ("files", "proposed"),
    [
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n"}, "3.12"),
        ({"pyproject.toml": "[project]\nrequires-python = '<3.11'\n"}, "3.10"),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.10'\n", ".python-version": "3.12"}, "3.12"),
        ({"pyproject.toml": "[project]\nrequires-python = '<3.12'\n", ".python-version": "3.12"}, None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.13'\n"}, None),
        ({"requirements.txt": ""}, None),
    ],
)
def test_a_python_of_this_machine_that_the_repository_takes_is_proposed(
    files: dict[str, str], proposed: str | None
) -> None:
    found, available = snapshot(files), ["3.10", "3.11", "3.12"]
    chosen = packages.choose(found)
    assert packages.proposed_python(found, chosen, available) == proposed
    stopped = seen(packages.python(found, chosen, available), Effect.STOPS)
    assert bool(stopped) is (">=3.13" in str(files))
    deployment = proposed_file.valid(
        "theirs", proposed_file.render("theirs", propose(found, chosen, None, python=proposed), "0" * 40)
    )
    assert deployment.packages.python == proposed


def test_the_files_of_a_run_are_those_of_the_check() -> None:
    assert list(packages.OURS) == list(sources.Form)


def test_an_import_that_no_package_brings_stops_if_its_package_is_known() -> None:
    texts = {"a.py": "import os\nimport pandas\nimport sklearn\nimport odd\nimport mine\n", "mine.py": ""}
    found = imported_packages.imported(code(stage("s", "python a.py"), texts=texts), frozenset({"pandas"}))
    either = (
        "the environment's file, or to a requirements file beside the pipeline's file: packages: {lock: <name>.txt}."
    )
    assert [(each.effect, each.fix) for each in found] == [
        (Effect.SURPRISES, f"add odd to {either}"),
        (Effect.STOPS, f"add scikit-learn to {either}"),
    ]


def test_the_proposed_file_names_no_shell_of_its_reader() -> None:
    """Nothing of a repository can end a comment and begin a key."""
    found = code(stage("get", "curl x", outs=["x\nevil: 1.csv"]))
    text = proposed_file.render("theirs", propose(found.snapshot, None, found), "0" * 40)
    assert not any(line.startswith("evil") for line in text.splitlines())


def test_the_folder_and_all_targets_of_a_project_below_the_top_are_proposed() -> None:
    found = code(stage("a/dvc.yaml:a", "echo", file="a/dvc.yaml", deps=["data/raw"], outs=["x"]), missing=["data/raw"])
    proposal = propose(found.snapshot, Chosen(".", "requirements.txt"), found, ProjectPlace("ml", "ml", "all"))
    deployment = proposed_file.valid("theirs", proposed_file.render("theirs", proposal, found.snapshot.commit))
    assert (deployment.repository.folder, deployment.targets) == ("ml", "all")
    assert deployment.repository.environment == ".", "the packages are at the top, not in the folder"


def test_stages_that_deliver_are_left_out_by_targets_unless_others_need_them() -> None:
    train = stage("train", "python b.py", deps=["data/raw"], outs=["m.pkl"])
    each = [stage(f"score@{n}", "python s.py", deps=["m.pkl"], outs=[f"s{n}"]) for n in "ab"]
    upload = stage("ship", "aws s3 cp m.pkl s3://theirs/", deps=["m.pkl"])
    assert proposed(code(train, *each, upload))[1].targets == ("score",)
    assert proposed(code(train, upload))[1].targets == ("train",)
    after = stage("after", "echo", deps=["sent.txt"])
    assert proposed(code(train, stage("deploy", "echo", outs=["sent.txt"]), after))[1].targets == ()
    assert proposed(code(upload))[1].targets == ()


def test_variables_are_proposed_with_a_value_if_it_is_known_and_else_as_a_comment_with_the_place_that_reads_them() -> (
    None
):
    texts = {"a.py": "import os\nimport pkg.m\nos.environ['API_KEY']\nos.environ['AIRFLOW_HOME']\n", "src/pkg/m.py": ""}
    found = code(stage("train", "python a.py", outs=["m.pkl"]), texts=texts)
    proposal, deployment = proposed(found)
    assert deployment.env == {"PYTHONPATH": "src"}
    assert deployment.secrets == {}
    text = proposed_file.render("theirs", proposal, found.snapshot.commit)
    (comment,) = [line for line in text.splitlines() if "API_KEY" in line]
    assert comment == "#   API_KEY: {connection: some_connection, value: password}   # read by a.py"
    with_secret = text.replace("# secrets:", "secrets:").replace(comment, comment.removeprefix("#"))
    assert proposed_file.valid("theirs", with_secret).secrets["API_KEY"].connection == "some_connection"
    assert "AIRFLOW_HOME" not in text  # which no pipeline's file may set


def test_the_remotes_of_tracked_data_are_proposed_with_a_connection_each() -> None:
    config = "['remote \"shelf\"']\n    url = gs://bucket/dvc\n"
    found = code(
        stage("train", "python a.py", deps=["words.onnx"], outs=["m.pkl"]),
        texts={".dvc/config": config},
        tracked=(tracked("words.onnx"),),
        missing=["words.onnx"],
    )
    text = proposed_file.render("theirs", propose(found.snapshot, None, found), found.snapshot.commit)
    assert "# remotes:\n#   shelf: {connection: their_gs}" in text
    assert proposed_file.valid("theirs", text).remotes == {}
    assert (
        proposed_file.valid("theirs", text.replace("# remotes:\n#   shelf", "remotes:\n  shelf"))
        .remotes["shelf"]
        .connection
        == "their_gs"
    )
