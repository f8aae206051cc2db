"""What the commands and the code of stages do: programs, paths, variables, trackers, outputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adoption.repositories import code, model, out, seen, snapshot, stage

from retrain.adoption import commands_of_stages, layout, remotes, results_of_stages, tags, tracking_calls, variables
from retrain.adoption.observation import Effect, in_order, noted


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
        ("docker run --rm image python a.py", "no container engine"),
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
    ],
)
def test_a_command_that_does_more_than_compute_surprises(name: str, command: str, words: str) -> None:
    found = commands_of_stages.observations(code(stage(name, command), texts={"a.py": "", "b.py": ""}))
    assert seen(found, Effect.SURPRISES, words)


def test_a_program_that_the_machine_lacks_stops_and_one_of_a_package_does_not() -> None:
    found = code(stage("s", "Rscript a.R && papermill x && my-tool y && bash run.sh"), texts={"run.sh": "jq . x\n"})
    programs = commands_of_stages.programs(found, frozenset({"my-tool"}))
    assert set(programs) == {"Rscript", "bash", "jq"}
    observations = list(commands_of_stages.absent_programs(programs, frozenset({"Rscript", "jq"})))
    assert [each.effect for each in observations] == [Effect.STOPS, Effect.SURPRISES]


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
        ("import dagshub\ndagshub.init('a', 'b')\n", Effect.STOPS, "asks DagsHub"),
        ("from dvclive import Live\nLive()\n", Effect.SURPRISES, "rewrites dvc.yaml"),
    ],
)
def test_the_stages_own_tracking_is_named(text: str, effect: Effect, words: str) -> None:
    texts = {"a.py": text, "conf.yaml": "tracking_uri: http://me:secret@mlflow.example.org/\n"}
    found = list(tracking_calls.observations(code(stage("s", "python a.py"), texts=texts)))
    assert seen(found, effect, words)
    assert "secret" not in "".join(each.line for each in found)


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


def test_a_dvc_lock_of_dvc_2_is_fine_but_for_a_frozen_stage() -> None:
    old = out("raw.csv", locked=True, md5="0" * 32, hash="md5-dos2unix")
    running = code(stage("s", "python a.py", outs=[old]), texts={"dvc.lock": ""})
    assert seen(results_of_stages.lock(running), Effect.NOTED, "entries of DVC 2")
    frozen = code(stage("s", "python a.py", outs=[old], frozen=True))
    assert seen(results_of_stages.grammar(frozen), Effect.STOPS, "DVC 2")


def test_entries_of_removed_stages_in_dvc_lock_are_named() -> None:
    found = code(stage("kept", "echo"), texts={"dvc.lock": "schema: '2.0'\nstages: {kept: {cmd: a}, gone: {cmd: b}}\n"})
    (noted_lock,) = results_of_stages.lock(found)
    assert "entries of gone are of no stage" in noted_lock.what


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


def test_a_pipeline_below_the_top_stops_and_stages_of_other_files_are_named() -> None:
    below = snapshot({"ml/dvc.yaml": ""})
    assert not list(layout.folders(below))
    alone = type(below)(below.url, "main", below.commit, modes={"ml/dvc.yaml": "100644"}, texts={"ml/dvc.yaml": ""})
    assert seen(layout.folders(alone), Effect.STOPS, "ml/dvc.yaml")
    assert seen(layout.several_files(code()), Effect.STOPS, "has no stage")
    several = code(stage("report/dvc.yaml:r", "echo", file="report/dvc.yaml", reached=False), stage("t", "echo"))
    assert seen(layout.several_files(several), Effect.SURPRISES, "r would not run")


def test_files_in_lfs_and_submodules_stop_if_a_stage_needs_them() -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    found = code(stage("s", "python a.py", deps=["data/x.csv"]), texts={"data/x.csv": pointer, "y.bin": pointer})
    assert [each.effect for each in layout.large_files(found, [])] == [Effect.STOPS, Effect.SURPRISES]
    with_lib = type(found)(snapshot({}, lib="160000"), found.described, code(stage("s", "python lib/a.py")).stages)
    assert seen(layout.submodules(with_lib), Effect.STOPS, "lib")
    unused = type(found)(with_lib.snapshot, found.described, ())
    assert seen(layout.submodules(unused), Effect.SURPRISES, "is empty in a run")


def test_hydra_without_committed_params_stops() -> None:
    config = {".dvc/config": "[hydra]\n    enabled = True\n"}
    assert seen(layout.hydra(snapshot(config)), Effect.STOPS, "Hydra")
    assert seen(layout.hydra(snapshot({**config, "params.yaml": ""})), Effect.SURPRISES, "Hydra")
    assert not list(layout.hydra(snapshot({})))


def test_remotes_are_told_by_kind_and_a_committed_secret_by_its_option_alone() -> None:
    config = "['remote \"a\"']\n    url = s3://b/c\n['remote \"b\"']\n    url = https://u:hidden@h/x\n    password = hidden\n"
    found = list(remotes.observations(snapshot({".dvc/config": config})))
    assert seen(found, Effect.NOTED, "a (s3), b (https)")
    assert seen(found, Effect.SURPRISES, "password, url")
    assert "hidden" not in "".join(each.line for each in found)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["model@v1.0.0"], "GTO"),
        (["0.1.47", "0.1.48"], "X.Y.Z without v"),
        (["v3.0"], "vX or vX.Y"),
        (["2026.03.1"], "calendar"),
        (["2026-assessment-year"], "no version"),
    ],
)
def test_the_grammar_of_tags_that_cannot_be_released_is_named(names: list[str], words: str) -> None:
    assert seen(tags.observations(snapshot({}, tags=names)), Effect.SURPRISES, words)


def test_a_commit_that_is_released_already_needs_no_new_tag() -> None:
    (found,) = tags.observations(replace(snapshot({}, tags=["v1.0.0", "v2.0.0"]), own_tags=("v1.0.0", "x")))
    assert (found.effect, found.fix) == (Effect.NOTED, "")
    assert "make release PIPELINE=<name> TAG=v1.0.0" in found.what


def test_the_next_tag_is_proposed_after_the_newest_release() -> None:
    (found,) = tags.observations(snapshot({}, tags=["v1.9.0", "v1.10.0", "x"]))
    assert (found.effect, "make release PIPELINE=<name> TAG=v1.11.0" in found.fix) == (Effect.NOTED, True)


def test_observations_are_in_order_in_one_line_and_without_credentials_and_control_characters() -> None:
    odd = noted("t", "a\x1b[31m\nb", "password=hunter22")
    stop = commands_of_stages.observations(code(stage("s", "git push")))
    ordered = in_order([odd, odd, *stop])
    assert [each.effect for each in ordered] == [Effect.STOPS, Effect.NOTED]
    assert "\x1b" not in ordered[1].line
    assert "hunter22" not in ordered[1].line
    assert "\n" not in ordered[1].line
