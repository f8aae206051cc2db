"""`check` on small Git repositories: what it says, what it exits with, and what it never does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from package_index import package_index

from retrain.commands import command_line
from retrain.deployment import pipeline_file

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "dvc.yaml": """
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [src/prepare.py, data/raw.csv]
    outs: [clean.csv]
  train:
    cmd: python src/train.py
    deps: [src/train.py, clean.csv]
    params: [train.rate]
    outs: [model.pkl]
    metrics: [metrics.json: {cache: false}]
artifacts:
  trips: {path: model.pkl, type: model}
""",
    "params.yaml": "train: {rate: 0.1}\n",
    "src/prepare.py": "open('clean.csv', 'w').write(open('data/raw.csv').read())\n",
    "src/train.py": "import demo\n",
    "requirements.txt": "demo==1.0\n",
}
SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
VARIABLES = {
    "RETRAIN_RAW_BUCKET": "raw-bucket",
    "RETRAIN_STORE_BUCKET": "store-bucket",
    "RETRAIN_LEDGER_BUCKET": "ledger-bucket",
    "RETRAIN_SLACK_CHANNEL": "#alerts",
    "RETRAIN_REPOSITORY": "origin.git",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=e", "-c", "user.email=e@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        file = folder / name
        if text is None:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def origin(tmp_path: Path) -> Callable[[Mapping[str, str | None]], Path]:
    """Make a repository with the good pipeline's files, and the changes to them."""

    def make(changes: Mapping[str, str | None]) -> Path:
        folder = tmp_path / "origin"
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        write(folder, {**GOOD, **{name: text for name, text in changes.items() if text is not None}})
        write(folder, {name: None for name, text in changes.items() if text is None})
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", "x")
        return folder

    return make


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The machine's package index, which offers demo 1.0."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index") as own:
        own.add("demo", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", own.url)
        yield own


@pytest.fixture
def check(deployment_dvc, environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):  # noqa: ARG001 - DVC has to be there
    """Run the command as `make check` does; returns its exit code, standard output and standard error."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "environments").symlink_to(environments)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("RETRAIN_HOME", str(home))
    monkeypatch.setenv("RETRAIN_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))

    def run(repository: object, *options: str, **variables: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setenv("REPO", str(repository))
            for name, value in variables.items():
                patch.setenv(name, value)
            code = command_line.main([*options, "check"])
        out, err = capfd.readouterr()
        assert list((tmp_path / "scratch").iterdir()) == [], "the clone is removed"
        return code, out, err

    return run


def observed(out: str, effect: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith(f"{effect} ")]


def test_a_repository_whose_only_lack_is_the_day_s_data_would_start_with_the_proposed_file(origin, check):
    code, out, _ = check(origin({}))
    assert code == 0
    assert observed(out, "stops") == []
    (inputs,) = [line for line in observed(out, "surprises") if " inputs " in line]
    assert "inputs: [{path: data/raw.csv, ...}]" in inputs
    assert "A run would start" in out
    assert "each day gives results of its own, by the proposed inputs" in out


def test_a_pipeline_below_the_top_would_start_with_the_folder_that_is_proposed(origin, check):
    """The files at the top belong to no pipeline: the paths of its stages are below the folder."""
    files = {f"ml/{name}": text for name, text in GOOD.items()}
    code, out, _ = check(origin({**dict.fromkeys(GOOD), **files, "dvc.lock": "stages: {}\n"}))
    assert code == 0
    assert "repository: {folder: ml}" in out
    assert "inputs: [{path: data/raw.csv, ...}]" in out
    assert "dvc.lock" not in out


@pytest.mark.slow
def test_several_dvc_yaml_files_hydra_and_old_locks_are_no_reason_to_stop(origin, check):
    old = "stages: {gone: {cmd: x}}\n"
    config = {".dvc/config": "[hydra]\n    enabled = True\n", "conf/config.yaml": "train: {rate: 0.5}\n"}
    moved = {
        "dvc.yaml": None,
        "params.yaml": None,
        "a/dvc.yaml": "stages: {a: {cmd: echo 1 > a, deps: [../data/raw.csv], params: [../params.yaml: [train.rate]], outs: [a]}}\n",
    }
    code, out, _ = check(
        origin(
            {
                **moved,
                **config,
                "b/dvc.yaml": "stages: {b: {cmd: cp ../a/a b, deps: [../a/a], outs: [b]}}\n",
                "a/dvc.lock": old,
            }
        )
    )
    assert code == 0
    assert "targets: all" in out
    assert "composes params.yaml from conf/config.yaml" in out
    assert "a/dvc.lock is ignored: DVC cannot read it" in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"dvc.yaml": "stages: {a: {cmd: x, no: 1}}\n"}, "DVC refuses the repository", id="DVC refuses"),
        pytest.param(
            {"requirements.txt": None, "environment.yaml": "dependencies: []\n"},
            "environment.yaml (a conda environment)",
            id="conda",
            marks=pytest.mark.slow,
        ),
        pytest.param({"requirements.txt": "demo==2.0\n"}, "demo==2.0", id="a version that there is not"),
        pytest.param({"requirements.txt": "demo==1.0\n-e .\n"}, "'.' is a folder that has neither", id="no project"),
        pytest.param(
            {"requirements.txt": "demo==1.0\na @ file:///home/me/a\n"},
            "requirements.txt:2: 'a @ file:///home/me/a' is a path on one machine's disk",
            id="a path of somebody's disk",
            marks=pytest.mark.slow,
        ),
        pytest.param({"requirements.txt": "demo==1.0\n-r gone.txt\n"}, "gone.txt", id="an absent include"),
        pytest.param(
            {
                "requirements.txt": None,
                "pyproject.toml": "[project]\nname='x'\nversion='1'\nrequires-python='>=3.99'\n",
            },
            ">=3.99",
            id="another Python",
        ),
        pytest.param(
            {"src/train.py": "import os\nos.environ['API_KEY']\n"}, "API_KEY", id="a variable", marks=pytest.mark.slow
        ),
        pytest.param(
            {"src/prepare.py": None}, "src/prepare.py", id="a script that is not there", marks=pytest.mark.slow
        ),
        pytest.param({"model.pkl": "x"}, "also in Git", id="an output in Git", marks=pytest.mark.slow),
        pytest.param(
            {"dvc.yaml": GOOD["dvc.yaml"].replace("python src/train.py", "no-such-program x")},
            "no-such-program",
            id="a program",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"dvc.yaml": GOOD["dvc.yaml"].replace(", data/raw.csv", "")},
            "would be the same every day",
            id="nothing of the day",
        ),
    ],
)
def test_what_would_stop_a_run_is_one_line_and_exit_1(changes, words, origin, check):
    code, out, _ = check(origin(changes))
    assert code == 1
    assert [line for line in observed(out, "stops") if words in line], out
    assert "A run would not start" in out


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 1234567\n"
OUTSIDE = (
    '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["gauges"]\n'
    '[tool.uv.sources]\ngauges = { path = "../../gauges" }\n'
)
OF_DEMO = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'
STALE = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[[package]]\nname = "x"\nversion = "1"\nsource = { virtual = "." }\n'
POETRY = '[tool.poetry]\nname = "x"\nversion = "1"\n[tool.poetry.dependencies]\npython = ">=3.11"\ndemo = "1.0"\n'


def test_every_mistake_in_the_data_and_the_programs_is_a_line_of_its_own(origin, check, monkeypatch, tmp_path):
    """A machine without git-lfs, which may have it elsewhere on the PATH."""
    (tmp_path / "bin").mkdir()
    for name in ("git", "uv", "bash", "sh", "python3", "cp", "env", "python"):
        if found := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    lost = "outs:\n- md5: 00112233445566778899aabbccddeeff\n  size: 41\n  hash: md5\n  path: base.onnx\n"
    stages = GOOD["dvc.yaml"].replace("src/train.py, clean.csv", "src/train.py, clean.csv, models/base.onnx")
    changes = {
        "dvc.yaml": stages.replace("python src/prepare.py", "a-program-of-theirs && python src/prepare.py"),
        "models/base.onnx.dvc": lost,
        "models/.gitignore": "/base.onnx\n",
        "settings.ini": POINTER,
        ".python-version": "3.99\n",
        "pyproject.toml": '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.99"\n',
    }
    code, out, _ = check(origin(changes))
    stops = observed(out, "stops")
    assert code == 1
    for words, fix in (
        ("models/base.onnx: is tracked by models/base.onnx.dvc, and the repository has no DVC remote", "dvc push"),
        ("settings.ini: is in Git LFS", "install git-lfs on the workers"),
        ("stage prepare: starts a-program-of-theirs, which this machine lacks", "queue"),
        ("pyproject.toml: wants Python >=3.99", "RETRAIN_PYTHONS"),
    ):
        (line,) = [each for each in stops if words in each]
        assert fix in line.partition(" Fix: ")[2]


@pytest.mark.parametrize(
    ("changes", "words", "fix"),
    [
        pytest.param(
            {"pyproject.toml": OUTSIDE},
            "../../gauges",
            "name the package by its version or by its Git address",
            id="a package outside the repository",
        ),
        pytest.param(
            {"pyproject.toml": POETRY, "poetry.lock": "[[package]\n"},
            "poetry.lock cannot be read",
            "run poetry lock",
            id="an unreadable poetry.lock",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"pyproject.toml": OF_DEMO, "uv.lock": "version = [\n"},
            "uv.lock",
            "run uv lock",
            id="an unreadable uv.lock",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"pyproject.toml": OF_DEMO, "uv.lock": STALE}, "uv.lock", "run uv lock", id="a uv.lock of another project"
        ),
    ],
)
def test_a_lock_that_does_not_fit_or_cannot_be_read_and_a_path_outside_the_repository_stop_with_the_fix(
    changes, words, fix, origin, check
):
    code, out, _ = check(origin({"requirements.txt": None, **changes}))
    (stop,) = [line for line in observed(out, "stops") if " environment " in line]
    assert code == 1
    assert words in stop
    assert fix in stop.partition(" Fix: ")[2]


@pytest.mark.slow
def test_of_several_pipelines_in_one_dvc_project_one_is_proposed_with_its_packages_and_the_others_are_listed(
    origin, check
):
    own = {f"{name}/{file}": text for name in ("a", "b") for file, text in GOOD.items()}
    code, out, _ = check(origin({**dict.fromkeys(GOOD), **own, ".dvc/config": ""}), "--json")
    document = json.loads(out)
    assert (code, document["stages"]) == (0, ["a/dvc.yaml:prepare", "a/dvc.yaml:train"])
    (other,) = [each for each in document["observations"] if "another pipeline" in each["what"]]
    assert other["where"] == "b/dvc.yaml"
    assert "repository: {folder: b}" in other["fix"]
    assert "  folder: a " in document["proposed"]
    assert "targets: all" not in document["proposed"]


def test_a_module_of_the_repository_s_top_and_a_program_that_is_expected_to_fail_stop_nothing(origin, check):
    changes = {"src/train.py": f"import src.deep\n{GOOD['src/train.py']}", "src/deep.py": ""}
    code, out, _ = check(
        origin(
            {
                **changes,
                "dvc.yaml": GOOD["dvc.yaml"].replace("python src/train.py", "no-such-program x || python src/train.py"),
            }
        )
    )
    assert (code, observed(out, "stops")) == (0, [])
    assert [line for line in observed(out, "noted") if "imports src" in line]
    assert [line for line in observed(out, "surprises") if "no-such-program" in line]


def test_a_repository_whose_own_package_is_installed_would_start(origin, check):
    project = '[project]\nname = "own"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "backend"\n'
    code, out, _ = check(origin({"requirements.txt": "demo==1.0\n-e .\n", "pyproject.toml": project}))
    assert (code, observed(out, "stops")) == (0, [])
    assert "resolves to 1 package for Python" in out


def test_data_of_a_dvc_file_is_proposed_as_an_input(origin, check):
    tracked = "outs:\n- md5: 0cc175b9c0f1b6a831c399e269772661\n  size: 1\n  hash: md5\n  path: raw.csv\n"
    code, out, _ = check(origin({"data/raw.csv.dvc": tracked, "data/.gitignore": "/raw.csv\n"}))
    assert code == 0
    assert "is tracked by data/raw.csv.dvc" in out


def test_the_written_file_is_valid_parses_as_a_dag_and_is_never_overwritten(origin, check, tmp_path, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    repository = origin({})
    code, out, _ = check(repository, WRITE="theirs")
    file = tmp_path / "pipelines" / "theirs.yaml"
    assert (code, f"Written: {file}" in out) == (0, True)
    deployment = pipeline_file.load(file, VARIABLES)
    assert deployment.repository.url == str(repository)
    assert [(each.path, each.days, each.names) for each in deployment.inputs] == [("data/raw.csv", "partition", "file")]
    assert deployment.tracking.model == "theirs"
    text = file.read_text()
    code, _, err = check(repository, WRITE="theirs")
    assert (code, "is not overwritten" in err, file.read_text()) == (1, True, text)

    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RETRAIN_PIPELINES")
    shutil.copytree(ROOT / "dags", tmp_path / "dags")
    shutil.copy(file, tmp_path / "dags" / "pipelines")
    bag = DagBag(str(tmp_path / "dags"))
    assert bag.import_errors == {}
    assert {task.task_id for task in bag.dags["theirs"].tasks} >= {"wait_for_partition", "reproduce", "record_run"}
    assert "refuse" not in " ".join(task.task_id for task in bag.dags["theirs"].tasks)


def test_the_json_document_has_each_observation_and_the_proposed_file(origin, check):
    code, out, _ = check(origin({"model.pkl": "x"}), "--json")
    document = json.loads(out)
    assert (code, document["schema_version"], document["would_start"], document["written"]) == (1, 1, False, None)
    assert set(document) == {
        "schema_version", "repository", "reference", "commit", "would_start", "counts", "stages", "observations", "seconds", "proposed", "written",
    }  # fmt: skip
    assert document["stages"] == ["prepare", "train"]
    (stop,) = [each for each in document["observations"] if each["effect"] == "stops"]
    assert set(stop) == {"effect", "topic", "where", "what", "fix"}
    assert (stop["topic"], stop["where"]) == ("outputs", "model.pkl")
    assert document["counts"]["stops"] == 1
    assert "path: data/raw.csv" in document["proposed"]


def test_a_tag_a_branch_and_a_commit_are_checked_as_they_are(origin, check):
    repository = origin({})
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1.0.0", "-m", "x")
    write(repository, {"model.pkl": "x"})
    git(repository, "checkout", "--quiet", "-b", "broken")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "y")
    code, out, _ = check(repository, REF="v1.0.0")
    assert (code, "can be released as v1.0.0" in out) == (0, True)
    assert check(repository, REF=first)[0] == 0
    code, out, _ = check(repository, REF="broken")
    assert (code, "model.pkl" in out) == (1, True)


def test_a_repository_that_cannot_be_read_is_one_sentence(origin, check, tmp_path):
    repository = origin({"dvc.yaml": None})
    empty = tmp_path / "empty"
    subprocess.run(["git", "init", "--quiet", str(empty)], check=True)
    (tmp_path / "plain").mkdir()
    for place, variables, words in (
        (tmp_path / "gone", {}, "AddressRefusedError: There is no repository"),
        (tmp_path / "plain", {}, "OriginError: "),
        (empty, {}, "EmptyRepositoryError: "),
        (repository, {}, "NotAPipelineError: "),
        (repository, {"REF": "v9.9.9"}, "UnknownCommitError: "),
        (repository, {"REF": "0123456"}, "UnknownCommitError: "),
        (repository, {"REF": "0" * 40}, "UnknownCommitError: "),
        (repository, {"WRITE": "../x"}, "ConfigurationError: "),
        (repository, {"WRITE": "No-Name"}, "ConfigurationError: "),
        ("--upload-pack=touch pwned", {}, "AddressRefusedError: "),
        (repository, {"REF": "--upload-pack=touch pwned"}, "AddressRefusedError: "),
        (f"ext::sh -c 'touch {tmp_path}/pwned'", {}, "AddressRefusedError: "),
    ):
        code, out, err = check(place, **variables)
        assert (code, out) == (1, ""), place
        assert err.startswith(words), err
        assert len(err.splitlines()) == 1
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("user", [f"user:{SECRET}", SECRET])
def test_a_secret_in_the_address_is_refused_before_a_process_starts_and_never_shown(user, check, monkeypatch):
    def started(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("retrain.work.process.run", started)
    for options in ((), ("--json",)):
        code, out, err = check(f"https://{user}@git.example.org/t/r.git", *options, WRITE="theirs")
        assert code == 1
        assert SECRET not in out + err
        assert "AddressRefusedError" in err


def test_no_code_of_the_repository_runs(origin, check, index, tmp_path):
    """Neither hooks, filters, submodules, builds of packages, nor the stages."""
    touched = tmp_path / "touched"
    touch = f"import pathlib; pathlib.Path({str(touched)!r}).touch()"
    index.add_unbuildable("built", "1.0", touch)
    repository = origin(
        {
            "requirements.txt": "demo==1.0\nbuilt==1.0\n",
            "setup.py": touch,
            "sitecustomize.py": touch,
            "conftest.py": touch,
            "src/prepare.py": touch,
            ".gitattributes": "*.csv filter=touch\n",
            "data/raw.csv": "1\n",
            "params.py": touch,
            "dvc.py": touch,
        }
    )
    git(repository, "config", "filter.touch.smudge", f"touch {touched}")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {touched}\n")
    hook.chmod(0o755)
    code, out, _ = check(repository)
    assert not touched.exists()
    assert (code, "built==1.0 has no wheel at all" in out) == (0, True)


def test_requirements_in_utf_16_are_read_as_uv_reads_them(origin, check):
    repository = origin({})
    (repository / "requirements.txt").write_bytes("demo>=1.0\r\n".encode("utf-16"))
    git(repository, "commit", "--quiet", "-am", "y")
    code, out, _ = check(repository)
    assert (code, "1 of 1 packages have no exact version (demo>=1.0)" in out) == (0, True)


def test_links_that_lead_out_of_the_checkout_are_not_read(origin, check, tmp_path):
    (tmp_path / "hidden.txt").write_text("demo==7.7.7\n")
    repository = origin({})
    (repository / "extra.py").symlink_to(tmp_path / "hidden.txt")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "y")
    code, out, _ = check(repository)
    assert (code, "7.7.7" in out) == (0, False)


def test_without_an_index_the_check_says_that_it_could_not_resolve(origin, check, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    code, out, _ = check(origin({}))
    (stop,) = observed(out, "stops")
    assert (code, "could not be resolved" in stop) == (1, True)
    assert "clear the task" not in stop


def test_make_check_hands_the_address_over_by_the_environment(origin, tmp_path):
    """A process's arguments are seen by all users of a machine."""
    repository = origin({})
    recorded = tmp_path / "arguments"
    python = tmp_path / "root" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {recorded}\nprintf "%s\\n" "$REPO" "$REF" "$WRITE" >> {recorded}\n'
    )
    python.chmod(0o755)
    root = tmp_path / "root"
    shutil.copy(ROOT / "Makefile", root)
    (root / "infra" / "docker" / "uv").mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "docker" / "uv" / "requirements.txt", root / "infra" / "docker" / "uv")
    command = [
        "make",
        "-C",
        str(root),
        "check",
        f"REPO={repository}",
        "REF=main",
        "WRITE=theirs",
        "JSON=1",
        "AIRFLOW_ENV=",
    ]
    variables = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(command, check=True, capture_output=True, env=variables)
    assert recorded.read_text().split("\n")[:-1] == [
        "-m",
        "retrain",
        "--json",
        "check",
        str(repository),
        "main",
        "theirs",
    ]
