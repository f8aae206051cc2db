"""What the commands and the code of stages do: programs, paths, variables, trackers, outputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adoption.repositories import code, described, model, out, seen, snapshot, stage

from retrain.adoption import (
    commands_of_stages,
    layout,
    project_place,
    remotes,
    results_of_stages,
    tracking_calls,
    variables,
)
from retrain.adoption.observation import Effect, in_order, noted
from retrain.adoption.project_place import ProjectPlace
from retrain.work.dvc.committed_locks import CommittedLock


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python /home/me/train.py", "/home/me/train.py"),
        ("python C:\\work\\train.py", "C:\\work\\train.py"),
        ("python src\\train.py", "bash drops the backslash"),
        ("venv/bin/python a.py", "no such folder"),
        ("python gone.py", "gone.py, which is not in the commit"),
        ("bash gone.sh", "gone.sh, which is not in the commit"),
        ("git commit -am x", "without branch"),
        ("dvc push", "within a stage"),
        ("mlflow server --port 5000", "a server that does not end"),
        ("poetry run python a.py", "no poetry project"),
        ("pip install -r requirements.txt && python a.py", "has no pip"),
    ],
)
def test_a_command_that_cannot_work_in_a_run_stops(command: str, words: str) -> None:
    found = commands_of_stages.observations(code(stage("s", command), texts={"a.py": "", "src/train.py": ""}))
    assert seen(found, Effect.STOPS, words)


@pytest.mark.parametrize(
    "command", ["python a.py && python b.py", "python -c 'print(1)'", "python -m pkg", "bash run.sh x", "echo 1 > out"]
)
def test_a_plain_command_does_not_stop(command: str) -> None:
    texts = {"a.py": "", "b.py": "", "run.sh": "", "pkg/__main__.py": ""}
    assert not seen(commands_of_stages.observations(code(stage("s", command), texts=texts)), Effect.STOPS)


@pytest.mark.parametrize(
    ("name", "command", "words"),
    [
        ("deploy", "python a.py", "seems to deliver"),
        ("save", "aws s3 cp m s3://b/m", "would deliver something"),
        ("lint", "ruff check .", "seems to check code"),
        ("train", "python a.py; python b.py", "not seen"),
        ("train", "python a.py || true", "hides a failure"),
        ("train", "make model", "Makefile"),
        ("train", "docker run --rm image python a.py", "need a container engine"),
    ],
)
def test_a_command_that_does_more_than_compute_surprises(name: str, command: str, words: str) -> None:
    found = commands_of_stages.observations(code(stage(name, command), texts={"a.py": "", "b.py": ""}))
    assert seen(found, Effect.SURPRISES, words)


def test_a_program_that_the_machine_lacks_stops_and_one_of_a_package_does_not() -> None:
    text = "docker run x && Rscript a.R && papermill x && my-tool y && bash run.sh"
    found = code(stage("s", text), stage("t", "R -e x || wget y"), texts={"run.sh": "jq . x\n"})
    programs = commands_of_stages.programs(found, frozenset({"my-tool"}))
    assert set(programs) == {"docker", "Rscript", "bash", "jq", "R", "wget"}
    observations = list(commands_of_stages.absent_programs(programs, frozenset({"docker", "Rscript", "R", "jq"})))
    # Only what surely fails stops: a script, or a command whose failure is expected, may do without.
    assert {each.what.split()[1].rstrip(","): each.effect for each in observations} == {
        "docker": Effect.STOPS,
        "Rscript": Effect.STOPS,
        "R": Effect.SURPRISES,
        "jq": Effect.SURPRISES,
    }
    assert all("queue in the pipeline's file" in each.fix for each in observations)


def test_a_frozen_stage_s_command_is_not_looked_at() -> None:
    found = code(stage("s", "python /home/me/a.py", frozen=True))
    assert list(commands_of_stages.observations(found)) == []


def test_paths_of_the_author_s_disk_in_code_stop() -> None:
    found = code(stage("s", "python a.py"), texts={"a.py": "import pandas as pd\npd.read_csv('/home/me/x.csv')\n"})
    assert seen(commands_of_stages.absolute_paths(found), Effect.STOPS, "/home/me/x.csv")


def test_a_variable_without_a_default_stops_and_others_surprise() -> None:
    texts = {"a.py": "import os\nos.environ['API_KEY']\nos.getenv('MODE')\nos.environ['HOME']\n"}
    found = list(variables.observations(code(stage("s", "python a.py --x $TARGET"), texts=texts)))
    assert [each.where for each in seen(found, Effect.STOPS, "API_KEY")] == ["a.py"]
    (surprise,) = seen(found, Effect.SURPRISES)
    assert "MODE, TARGET" in surprise.what


def test_the_code_of_a_module_that_only_src_has_is_read_too() -> None:
    texts = {"src/fares/train.py": "import fares.keys\n", "src/fares/keys.py": "import os\nos.environ['API_KEY']\n"}
    found = code(stage("s", "python -m fares.train"), texts=texts)
    assert [each.where for each in seen(variables.observations(found), Effect.STOPS)] == ["src/fares/keys.py"]


def test_a_settings_file_that_is_not_committed_surprises() -> None:
    found = code(stage("s", "python a.py"), texts={"a.py": "from dotenv import load_dotenv\nload_dotenv()\n"})
    assert seen(variables.observations(found), Effect.SURPRISES, "loads .env")


@pytest.mark.parametrize(
    ("text", "effect", "words"),
    [
        ("import mlflow\nmlflow.set_tracking_uri('http://127.0.0.1:5000')\n", Effect.STOPS, "127.0.0.1:5000"),
        ("import mlflow\nmlflow.set_tracking_uri(config['uri'])\n", Effect.STOPS, "mlflow.example.org"),
        (
            "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('a', 1)\n",
            Effect.SURPRISES,
            "logs to MLflow by itself",
        ),
        (
            "import dagshub\ndagshub.init('a', 'b')\n",
            Effect.STOPS,
            "asks DagsHub for a login, and a run has none. Fix: name it in the pipeline's file, secrets: {DAGSHUB_USER_TOKEN:",
        ),
        ("from dvclive import Live\nLive()\n", Effect.SURPRISES, "rewrites dvc.yaml"),
    ],
)
def test_the_stages_own_tracking_is_named(text: str, effect: Effect, words: str) -> None:
    texts = {"a.py": text, "conf.yaml": "tracking_uri: http://me:p4ssw0rd@mlflow.example.org/\n"}
    found = list(tracking_calls.observations(code(stage("s", "python a.py"), texts=texts)))
    assert seen(found, effect, words)
    assert "p4ssw0rd" not in "".join(each.line for each in found)


def test_dvclive_that_leaves_dvc_yaml_alone_does_not_surprise() -> None:
    found = code(stage("s", "python a.py"), texts={"a.py": "from dvclive import Live\nLive(dvcyaml=None)\n"})
    assert list(tracking_calls.observations(found)) == []


def test_outputs_in_git_outside_of_the_checkout_or_named_by_the_clock_stop() -> None:
    texts = {"m.pkl": "", "folder/.gitkeep": "", "a.py": "import time\ntime.strftime('%Y')\n"}
    outs = ["m.pkl", "folder", "../x", "r_20250917_103225.json", out("kept.json", persist=True)]
    found = list(results_of_stages.outputs(code(stage("s", "python a.py", outs=outs), texts=texts)))
    assert [each.where for each in seen(found, Effect.STOPS)] == ["m.pkl", "folder", "../x", "r_20250917_103225.json"]
    assert seen(found, Effect.SURPRISES, "kept.json")


def test_a_time_in_a_name_and_a_clock_alone_surprise() -> None:
    fixed = code(stage("s", "python a.py", outs=["r_2025-09-17.json"]), texts={"a.py": ""})
    assert seen(results_of_stages.outputs(fixed), Effect.SURPRISES, "r_2025-09-17.json")
    text = "from datetime import datetime\nname = datetime.now().strftime('%Y')\n"
    clock = code(stage("s", "python a.py"), texts={"a.py": text})
    assert seen(results_of_stages.clock(clock), Effect.SURPRISES, "a.py")


def test_outputs_with_a_remote_of_their_own_surprise() -> None:
    found = code(stage("s", "echo", outs=[out("m", remote="theirs")]))
    assert seen(remotes.outputs(found), Effect.SURPRISES, "m (theirs)")


def test_an_output_in_git_that_dvc_does_not_cache_is_fine() -> None:
    found = code(stage("s", "python a.py", outs=[out("m.json", cached=False)]), texts={"m.json": "{}"})
    assert not list(results_of_stages.outputs(found))


def test_the_likely_model_is_proposed_if_no_artifact_is_one() -> None:
    stages = stage("train", "python a.py", outs=["data/train.csv", "models/clf.pkl"])
    assert seen(
        results_of_stages.models(code(stages)),
        Effect.SURPRISES,
        "artifacts: {model: {path: models/clf.pkl, type: model}}",
    )
    assert seen(
        results_of_stages.models(code(stages, artifacts=(model("models/clf.pkl"),))), Effect.NOTED, "is registered"
    )
    two = code(stages, artifacts=(model("a"), model("b")))
    assert seen(results_of_stages.models(two), Effect.SURPRISES, "only the first, a,")


def test_metrics_that_are_absent_unreadable_or_no_numbers_surprise() -> None:
    assert seen(results_of_stages.metrics(code()), Effect.SURPRISES, "declares no metrics")
    found = code(metrics={"a.json": {}, "b.json": {"x": 1.0}, "c.json": {}}, unreadable={"c.json": "no JSON"})
    assert [each.where for each in seen(results_of_stages.metrics(found), Effect.SURPRISES)] == ["c.json", "a.json"]


def test_what_a_run_ignores_of_committed_locks_is_noted() -> None:
    lock = CommittedLock("dvc.lock", None, False, ("gone",), ("train",), ())
    found = code(stage("s", "python a.py"), texts={"dvc.lock": ""}, locks=(lock,))
    assert seen(project_place.locks(found), Effect.NOTED, "gone (no such stage); train (MD5s of DVC 2)")


def test_an_entry_of_dvc_2_stops_if_its_stage_is_frozen_and_the_output_is_in_git() -> None:
    old = out("raw.csv", locked=True, md5="0" * 32, hash="md5-dos2unix")
    frozen = code(stage("s", "python a.py", outs=[old], frozen=True))
    assert seen(results_of_stages.grammar(frozen), Effect.STOPS, "DVC 2")
    fetched = code(stage("s", "python a.py", outs=[old], frozen=True), missing=["raw.csv"])
    assert not seen(results_of_stages.grammar(fetched), Effect.STOPS)


def test_stages_that_dvc_treats_in_a_way_of_their_own_are_named() -> None:
    found = code(
        stage("a@1", "echo", deps=["x"]),
        stage("b", "echo", always_changed=True, deps=["x"]),
        stage("c", "echo", outs=["o"]),
        stage("d", "echo", frozen=True, outs=["p"]),
    )
    told = {each.where: (each.effect, each.what.partition(":")[0]) for each in results_of_stages.grammar(found)}
    assert told == {
        "a": (Effect.NOTED, "foreach or matrix"),
        "stage b": (Effect.SURPRISES, "always_changed"),
        "stage c": (Effect.SURPRISES, "has no dependency"),
        "stage d": (Effect.SURPRISES, "is frozen"),
    }


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        pytest.param(["dvc.yaml", "ml/dvc.yaml"], ProjectPlace(), id="one at the top"),
        pytest.param(["ml/dvc.yaml"], ProjectPlace("ml", "ml"), id="one folder"),
        pytest.param(["ml/dvc.yaml", ".dvc/config"], ProjectPlace("ml", "."), id="one folder of a project above"),
        pytest.param(["ml/a/dvc.yaml", "ml/.dvc/config"], ProjectPlace("ml/a", "ml"), id="a folder in a folder"),
        pytest.param(["a/dvc.yaml", "b/dvc.yaml"], ProjectPlace(".", ".", "all"), id="several"),
        pytest.param(["m/a/dvc.yaml", "m/b/dvc.yaml", "m/.dvc/config"], ProjectPlace("m", "m", "all"), id="several below"),
        pytest.param(
            ["a/dvc.yaml", "a/.dvc/config", "b/dvc.yaml", "b/.dvc/config"], ProjectPlace("a", "a", (), ("b",)), id="several projects"
        ),
        pytest.param(["venv/x/dvc.yaml", "ml/dvc.yaml"], ProjectPlace("ml", "ml"), id="one in a package"),
    ],
)  # fmt: skip
def test_folder_and_targets_are_proposed_for_a_pipeline_that_is_not_at_the_top(
    paths: list[str], place: ProjectPlace
) -> None:
    plain = snapshot()
    found = replace(plain, modes=dict.fromkeys(paths, "100644"), texts=dict.fromkeys(paths, ""))
    assert project_place.find(found) == place
    assert not [each for each in project_place.observations(place) if each.effect is Effect.STOPS]


def test_of_several_pipelines_in_one_project_the_first_is_proposed_and_the_others_are_listed() -> None:
    """Files of one pipeline need each other's outputs."""
    a, b, c = (stage(f"{n}/dvc.yaml:s", "echo", file=f"{n}/dvc.yaml", outs=[f"{n}/o"]) for n in "abc")
    every = ProjectPlace("ml", "ml", "all")
    assert project_place.of_one_pipeline(every, described(a, replace(b, deps=("a/o",)))) == every
    apart = project_place.of_one_pipeline(every, described(b, a))
    assert apart == ProjectPlace("ml/a", "ml", (), ("ml/b",))
    (line,) = seen(project_place.observations(apart), Effect.SURPRISES, "is another pipeline")
    assert (line.where, "repository: {folder: ml/b}" in line.fix) == ("ml/b/dvc.yaml", True)
    left = code(a, replace(b, reached=False))
    assert seen(project_place.several_files(left, ProjectPlace("a", ".", (), ("b",))), Effect.SURPRISES) == []
    two = project_place.of_one_pipeline(every, described(a, replace(b, deps=("c/o",)), c))
    assert two == ProjectPlace("ml/a", "ml", (), ("ml/b", "ml/c"))
    first = project_place.of_one_pipeline(every, described(replace(a, deps=("b/o",)), b, c))
    assert first == ProjectPlace("ml", "ml", ("a/dvc.yaml", "b/dvc.yaml"), ("ml/c",))
    trained = described(a, replace(c, outs=(out("m.pkl"),)), artifacts=(model("m.pkl"),), metrics={"a/o": {}})
    assert project_place.of_one_pipeline(every, trained).folder == "ml/c", "a model comes before metrics"
    assert project_place.of_one_pipeline(every, described(a, b, metrics={"b/o": {}})).folder == "ml/b"


def test_stages_of_other_files_that_would_not_run_are_named_with_the_key() -> None:
    assert seen(project_place.several_files(code()), Effect.STOPS, "has no stage")
    several = code(stage("report/dvc.yaml:r", "echo", file="report/dvc.yaml", reached=False), stage("t", "echo"))
    (left,) = seen(project_place.several_files(several), Effect.SURPRISES, "r would not run")
    assert "targets: all" in left.fix


def test_a_snapshot_below_a_folder_has_the_paths_of_that_folder() -> None:
    below = snapshot({"ml/dvc.yaml": "stages: {}", "ml/src/a.py": "1", "mlx/b.py": "2"}).below("ml")
    assert sorted(below.paths) == ["dvc.yaml", "src/a.py"]
    assert below.texts["dvc.yaml"] == "stages: {}"


def test_files_in_lfs_stop_a_run_where_git_lfs_is_not_installed() -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    found = code(stage("s", "python a.py", deps=["data/x.csv"]), texts={"data/x.csv": pointer, "y.bin": pointer})
    refused = list(layout.large_files(found, [], fetched=False))
    assert seen(refused, Effect.STOPS, "in Git LFS, and so are 1 more")
    assert len(refused) == 1
    assert seen(layout.large_files(found, [], fetched=True), Effect.NOTED, "a run fetches them with git-lfs")


@pytest.mark.parametrize(
    ("url", "more", "effect", "told"),
    [
        ("../lib.git", "", Effect.NOTED, "with the access of the origin"),
        ("git@git.example.org:t/lib.git", "", Effect.NOTED, "with the access of the origin"),
        ("https://elsewhere.org/lib.git", "", Effect.SURPRISES, "on elsewhere.org, which a run reads without"),
        ("../lib.git", "update = none", Effect.STOPS, "its folder is empty in a run, and stage s needs it"),
        ("/etc", "", Effect.STOPS, "a folder of this machine"),
        ("https://u:p4ssword@git.example.org/x", "", Effect.STOPS, "has a password or a token in it"),
    ],
)
def test_a_submodule_is_fetched_by_a_run_or_the_reason_why_not_is_told(
    url: str, more: str, effect: Effect, told: str
) -> None:
    text = f'[submodule "a"]\n\tpath = lib\n\turl = {url}\n\t{more}\n'
    stages = code(stage("s", "python lib/a.py")).stages
    found = type(code())(snapshot({".gitmodules": text}, lib="160000"), described(), stages)
    observed = list(layout.submodules(found))
    assert len(observed) == 1
    assert seen(observed, effect, told)
    assert "p4ssword" not in str(observed)


def test_a_folder_that_only_looks_like_a_submodule_is_empty_in_a_run() -> None:
    found = type(code())(snapshot({}, lib="160000"), described(), ())
    assert seen(layout.submodules(found), Effect.SURPRISES, "is empty in a run")


def test_hydra_is_noted_and_stops_only_if_it_refuses() -> None:
    assert seen(
        project_place.hydra("conf/config.yaml", None), Effect.NOTED, "composes params.yaml from conf/config.yaml"
    )
    assert seen(project_place.hydra(None, "params.yaml cannot be composed"), Effect.STOPS, "cannot be composed")
    assert not list(project_place.hydra(None, None))


def test_remotes_are_told_by_kind_and_a_committed_secret_by_its_option_alone() -> None:
    config = "['remote \"a\"']\n    url = s3://b/c\n['remote \"b\"']\n    url = https://u:hidden@h/x\n    password = hidden\n"
    found = list(remotes.observations(snapshot({".dvc/config": config})))
    assert seen(found, Effect.NOTED, "a (s3), b (https)")
    assert seen(found, Effect.SURPRISES, "password, url")
    assert "hidden" not in "".join(each.line for each in found)


def test_observations_are_in_order_in_one_line_and_without_credentials_and_control_characters() -> None:
    odd = noted("t", "a\x1b[31m\nb", "password=hunter22")
    stop = commands_of_stages.observations(code(stage("s", "git push")))
    ordered = in_order([odd, odd, *stop])
    assert [each.effect for each in ordered] == [Effect.STOPS, Effect.NOTED]
    assert "\x1b" not in ordered[1].line
    assert "hunter22" not in ordered[1].line
    assert "\n" not in ordered[1].line
