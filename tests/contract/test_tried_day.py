"""A real day run on trial by the command `try`: real Git, DVC and S3, and neither Airflow, MLflow nor Slack."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import git_server
import pytest
from foreign_pipeline import DAY, FIT_ALONE, PIPELINE, Pipeline
from team_origin import Origin

from retrain.commands.command_line import main
from retrain.inputs.prepared import prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.run.manifest import Manifest
from retrain.work import git, workspace
from retrain.work.dvc.program import Dvc
from retrain.work.environments import environment
from retrain.work.mirrors import fetched

# Each stage is one kind of stage that a second run skips, or does not.
STAGES = """
stages:
  count:
    cmd: python count.py
    deps: [count.py, data/raw]
    params: [day]
    outs: [counted.json]
  rates:
    cmd: echo 2 > rates.json
    outs: [rates.json]
  weather:
    cmd: echo 1 > weather.json
    outs: [weather.json]
  learn:
    cmd: cat counted.json weather.json rates.json > model.json
    deps: [counted.json, weather.json, rates.json]
    outs: [model.json]
  restless:
    cmd: echo again >> notes.txt && cp notes.txt copied.txt
    deps: [notes.txt, counted.json]
    outs: [copied.txt]
  growing:
    cmd: echo one > grown.txt
    deps: [counted.json]
    outs: [grown.txt: {persist: true}]
  always:
    cmd: echo one > said.txt
    deps: [counted.json]
    always_changed: true
    outs: [said.txt]
  report:
    cmd: python report.py
    deps: [report.py, model.json]
    metrics: [metrics.json: {cache: false}]
artifacts:
  predictor: {path: model.json, type: model}
"""
COUNT = """
import json, pathlib
files = sorted(str(path) for path in pathlib.Path("data/raw").rglob("*") if path.is_file())
pathlib.Path("counted.json").write_text(json.dumps({"files": files}))
"""
REPORT = "import pathlib\npathlib.Path('metrics.json').write_text('{\"model\": {\"mae\": 0.5}}')\n"
ALL_KINDS = {
    "dvc.yaml": STAGES,
    "count.py": COUNT,
    "report.py": REPORT,
    "notes.txt": "once\n",
    "data/raw/sample.csv": "a few rows",
    "params.yaml": "day: '2020-01-01'\n",
    "split.py": None,
    "fit.py": None,
    ".gitignore": "/run.yaml\n/manifest.json\n/*.json\n/copied.txt\n/grown.txt\n/said.txt\n",
}
SETTINGS = """
inputs: [{path: data/raw, names: flat}]
params: {params.yaml: {day: "{partition}"}}
fetch: [rates]
static: [weather]
"""
AGAIN = {
    "weather": "it has no dependencies",
    "restless": "it changes its own dependency notes.txt",
    "growing": "its output grown.txt is persist: true",
    "always": "it is always_changed",
}
FILE = """
schema_version: 1
description: Somebody else's pipeline.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: "{origin}"}}
raw: {{url: "s3://{bucket}/raw", window_days: 2}}
store: s3://{bucket}/dvc
ledger: s3://{bucket}/ledger
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: foreign, model: foreign}}
slack: {{channel: "#alerts"}}
"""


class Team:
    """A team with a repository, a bucket and a pipeline's file, and the command `try`."""

    def __init__(self, pipeline, s3, bucket, folder, capfd):
        self.origin, self.s3, self.bucket, self.capfd = pipeline.origin, s3, bucket, capfd
        self.deployment_dvc, self.environments = pipeline.deployment_dvc, pipeline.environments
        self.file = folder / f"{PIPELINE}.yaml"
        self.file.write_text(FILE.format(origin=pipeline.origin.path, bucket=bucket))

    def land(self, *keys):
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=f"raw/{key}", Body=key.encode())

    def settings(self, text):
        """Add keys to the pipeline's file."""
        self.file.write_text(self.file.read_text() + text)

    def branch(self, name, files):
        """Push the pipeline with `files` changed as a branch; the origin gets no tag. Returns the commit."""
        commit = self.origin.release("unpushed", files)
        self.origin.git("push", "--quiet", "origin", f"HEAD:refs/heads/{name}", ":refs/tags/unpushed")
        self.origin.git("tag", "--delete", "unpushed")
        return commit

    def try_day(self, *options, day=DAY):
        """The exit code, the JSON answer, and standard error."""
        self.capfd.readouterr()
        code = main(["--pipeline", PIPELINE, "--json", "try", day, *options])
        out, err = self.capfd.readouterr()
        return code, json.loads(out[out.index("\n{\n") :] if "\n{\n" in out else out), err

    def refusal(self, *options, day=DAY):
        code, answer, _ = self.try_day(*options, day=day)
        assert code == 1
        return answer["error"]["code"], answer["error"]["message"]

    def stored(self):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())]


@pytest.fixture
def team(s3, bucket, deployment_dvc, tmp_path, monkeypatch, capfd, request):
    """A team whose day of the pipeline has landed."""
    pipeline = Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("RETRAIN_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "http://127.0.0.1:9")  # the discard port: nobody answers
    made = Team(pipeline, s3, bucket(), tmp_path / "pipelines", capfd)
    made.land(f"dt={DAY}/a.csv", f"dt={DAY}/_SUCCESS")
    return made


def executed_in_a_second_run(team, kept: Path, scratch: Path) -> set[str]:
    """The stages that `dvc repro` really executes in another checkout of the kept trial, with its cache."""
    place = workspace.Workspace(scratch)
    commit = team.origin.git("rev-parse", "HEAD")
    git.checkout(fetched(team.origin.address, commit, scratch / "git"), commit, place.checkout)
    for name in ("run.yaml", "manifest.json"):
        shutil.copy(kept / "checkout" / name, place.checkout / name)
    built = environment.provide(place.checkout, team.environments)
    program = Dvc.of(place.checkout, built, team.deployment_dvc, kept / "cache", {})
    program.configure("s3://nowhere/dvc", None)
    manifest = Manifest.from_json((place.checkout / "manifest.json").read_bytes(), "the kept manifest")
    prepared = prepare(place.checkout, manifest, program, RawObjects(team.s3, scratch / "raw"))
    reproduction = program.reproduction(prepared.description, 120)
    reproduction.run()
    return set(reproduction.finished().executed)


def test_a_trial_shows_the_day_and_what_a_second_run_really_executes(team, tmp_path):
    commit = team.branch("main", ALL_KINDS)
    team.settings(SETTINGS)
    before = team.stored()
    code, answer, err = team.try_day("--ref", "main", "--keep")
    assert code == 0, (answer, err)
    assert (answer["reference"], answer["commit"], answer["raw_objects"]) == ("main", commit, 1)
    assert {stage["name"]: stage["outcome"] for stage in answer["stages"]} == dict.fromkeys(
        ("count", "weather", "rates", "learn", "restless", "growing", "always", "report"), "ran"
    )
    (laid,), (set_param,) = answer["inputs"], answer["params"]
    assert (laid["path"], laid["files"], laid["replaced"]) == ("data/raw", 1, ["data/raw/sample.csv"])
    assert (set_param["key"], set_param["after"]) == ("day", DAY)
    assert (answer["metrics"], answer["models"]) == ({"model.mae": 0.5}, ["model.json"])
    again = {each["name"]: each["reason"] for each in answer["second_run"] if not each["skipped"]}
    assert again == AGAIN
    after = {each["name"]: each["after"] for each in answer["second_run"] if each["after"]}
    assert after == {"learn": ["weather"], "report": ["weather"]}
    kept = Path(err.partition("Kept: ")[2].strip())
    (tmp_path / "scratch").mkdir()
    assert executed_in_a_second_run(team, kept, tmp_path / "scratch") == {*AGAIN, "rates"}
    assert answer["fetching"] == ["rates"]  # a real second run takes what the first has fetched
    assert team.stored() == before


def test_a_trial_leaves_nothing_but_environments_the_raw_cache_and_the_shared_mirror(team):
    """The pipeline's own cache is not written to, so that a trial can change no daily run."""
    team.origin.release("v0.9.0", {**FIT_ALONE, "fit.py": "raise SystemExit(1)\n"})
    team.origin.release("v0.10.0", FIT_ALONE)
    code, answer, _ = team.try_day()
    assert (code, answer["reference"]) == (0, "v0.10.0")
    left = {path.relative_to(workspace.home()).parts[0] for path in workspace.home().rglob("*") if path.is_file()}
    assert left <= {"environments", "raw", "locks", "git"}
    assert list((workspace.home() / "workspaces" / PIPELINE).iterdir()) == []


def test_people_read_stages_metrics_and_what_a_second_run_skips(team):
    team.branch(
        "main", {**FIT_ALONE, "fit.py": FIT_ALONE["fit.py"] + "import time\nwhile time.process_time() < 1: pass\n"}
    )
    assert main(["--pipeline", PIPELINE, "try", DAY, "--ref", "main"]) == 0
    out, _ = team.capfd.readouterr()
    assert f"{DAY} of {PIPELINE}, main (" in out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("fit ")] == [["fit", "ran"]]
    assert "No metrics: dvc.yaml declares no metrics file." in out
    assert "fit                    is skipped" in out
    assert "The day would be green: 1 objects" in out


def test_a_failing_stage_ends_as_the_daily_run_does_with_its_last_lines(team):
    refusing = "import sys\nprint('reading 312 rows')\nsys.exit('column fare holds text')\n"
    team.branch("main", {**FIT_ALONE, "fit.py": refusing.replace("sys.exit('", "print('") + "sys.exit(65)\n"})
    code, answer, err = team.try_day("--ref", "main")
    assert (code, answer["error"]["code"]) == (1, "DataRefusedError")
    assert answer["error"]["message"] == "Stage fit refused its data: column fare holds text"
    assert answer["error"]["printed"][-2:] == ["reading 312 rows", "column fare holds text"]
    assert "The last lines of stage fit:\nreading 312 rows\ncolumn fare holds text\n" in err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(
            {
                "dvc.yaml": FIT_ALONE["dvc.yaml"].replace("outs", "metrics"),
                "fit.py": "open('model.json', 'w').write('{\"mae\": NaN}')\n",
            },
            r"The metric mae in model\.json is nan",
            id="a metric that is no number",
        ),
        pytest.param(
            {"dvc.yaml": FIT_ALONE["dvc.yaml"] + "artifacts: {predictor: {path: lost.json, type: model}}\n"},
            r"dvc\.yaml declares lost\.json, which does not exist",
            id="a model that no stage writes",
        ),
    ],
)
def test_a_day_that_could_not_be_recorded_is_refused_although_its_stages_ran(team, files, said):
    team.branch("main", {**FIT_ALONE, **files})
    code, message = team.refusal("--ref", "main")
    assert code == "ReportError"
    assert re.search(said, message)


@pytest.mark.slow
def test_a_day_that_breaks_the_contract_of_its_drift_report_is_refused(team):
    team.settings("drift: {report: model.json}\n")
    team.branch("main", FIT_ALONE)
    assert team.refusal("--ref", "main") == (
        "ReportError",
        "model.json has schema_version None, this deployment reads 1 to 1. Deploy a version that reads it.",
    )


@pytest.mark.parametrize(
    ("landed", "said"),
    [
        pytest.param((), "None of its objects is there. Nothing is below {raw}.", id="nothing at all"),
        pytest.param(
            ("dt=2020-03-07/a.csv", "dt=2020-03-07/b.csv"),
            "Awaited: {raw}/dt=2020-03-07/_SUCCESS. 2 of its objects are there already.",
            id="no marker yet",
        ),
        pytest.param(
            ("2020/03/07/a.csv", "2020/03/07/_SUCCESS"),
            "None of its objects is there. The first keys below {raw}: 2020/03/07/_SUCCESS, 2020/03/07/a.csv.",
            id="another layout",
        ),
    ],
)
def test_a_day_that_has_not_landed_under_the_layout_is_refused_with_what_is_there(team, landed, said):
    for key in team.stored():
        team.s3.delete_object(Bucket=team.bucket, Key=key)
    team.land(*landed)
    code, message = team.refusal(day="2020-03-07")
    assert code == "NotLandedError"
    assert said.format(raw=f"s3://{team.bucket}/raw") in message


def test_a_reference_that_the_origin_does_not_have_is_refused_by_name(team):
    team.origin.release("v1.0.0", FIT_ALONE)
    assert team.refusal("--ref=--mirror") == (
        "UnknownCommitError",
        f"The origin {team.origin.path} has no tag, branch or commit --mirror. Push it, or name one that exists.",
    )


def test_without_a_release_a_branch_has_to_be_named(team):
    team.branch("main", FIT_ALONE)
    assert team.refusal() == (
        "UnreleasedError",
        f"The origin {team.origin.path} has no release tag vX.Y.Z. Name a branch or a commit: make try REF=main",
    )


def test_a_commit_is_found_by_the_beginning_of_its_digits_and_needs_a_dvc_yaml(team):
    commit = team.branch("main", {**FIT_ALONE, "dvc.yaml": None})
    code, message = team.refusal("--ref", commit[:9])
    assert code == "NotAPipelineError"
    assert message.startswith(f"{commit[:9]} ({commit}) has no dvc.yaml")


def test_an_origin_that_does_not_answer_is_named(team):
    shutil.rmtree(team.origin.path)
    code, message = team.refusal("--ref", "main")
    assert (code, f"git ls-remote of {team.origin.path} failed" in message) == ("OriginError", True)


def test_what_is_no_day_is_refused_before_anything_is_asked(team):
    assert team.refusal(day="2020-02-30")[0] == "PartitionError"


def test_a_pipeline_without_a_file_is_refused_by_name(team):
    team.file.unlink()
    code, message = team.refusal()
    assert code == "ConfigurationError"
    assert f"{PIPELINE}.yaml cannot be read" in message


def test_a_private_repository_with_a_submodule_is_tried_and_fetched_once(team, tmp_path, monkeypatch):
    library = Origin.create(tmp_path / "library", {"factor.txt": "42"})
    commit = library.release("v1.0.0")
    library.path.rename(team.origin.path.parent / "library.git")
    (team.origin.clone / "lib").mkdir()
    team.origin.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    fit = "import pathlib\npathlib.Path('model.json').write_text(pathlib.Path('lib/factor.txt').read_text())\n"
    stage = "{cmd: python fit.py, deps: [fit.py, manifest.json, lib/factor.txt], outs: [model.json]}"
    modules = '[submodule "lib"]\n\tpath = lib\n\turl = ../library.git\n'
    files = {**FIT_ALONE, "dvc.yaml": f"stages: {{fit: {stage}}}\n", "fit.py": fit, ".gitmodules": modules}
    team.origin.release("v1.0.0", files)
    login = {"conn_type": "http", "login": "deploy", "password": "t0ken-of-this-test"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM_GIT", json.dumps(login))
    with git_server.served(team.origin.path.parent, "deploy:t0ken-of-this-test") as server:
        text = team.file.read_text()
        url = f"{server.url}/{team.origin.path.name}"
        assert str(team.origin.path) in text
        team.file.write_text(text.replace(f'"{team.origin.path}"', f'"{url}", connection: team_git'))
        code, answer, _ = team.try_day()
        assert (code, answer["reference"]) == (0, "v1.0.0")
        of_library = [each for each in server.asked if each.path.startswith("/library.git")]
        assert len(of_library) > 1
        assert team.try_day()[0] == 0
        assert [each for each in server.asked if each.path.startswith("/library.git")] == of_library
        assert len(list(workspace.mirrors().glob("*.git"))) == 2
        monkeypatch.setenv("AIRFLOW_CONN_TEAM_GIT", json.dumps({**login, "password": "an0ther-token"}))
        kind, message = team.refusal()
    assert kind == "OriginRefusedError"
    assert f"{url}, read with the connection team_git" in message
    assert "an0ther-token" not in message


PRINTS = """
import os, pathlib
print("the stage has", os.environ["TOKEN"], os.environ["MODE"], flush=True)
pathlib.Path("model.json").write_text("{}")
if os.environ["MODE"] == "fail":
    raise SystemExit(f"refused {os.environ['TOKEN']}")
"""


@pytest.mark.parametrize("mode", ["end", "fail"])
def test_a_secret_that_a_stage_prints_is_in_no_line_of_a_trial(team, monkeypatch, mode):
    team.origin.release("v0.9.0", {**FIT_ALONE, "fit.py": PRINTS})
    monkeypatch.setenv("AIRFLOW_VAR_THEIR_TOKEN", "hush-hush-hush")
    team.settings(f"\nsecrets: {{TOKEN: {{variable: their_token}}}}\nenv: {{MODE: {mode}}}\nstatic: [fit]\n")
    code, answer, err = team.try_day()
    assert code == (1 if mode == "fail" else 0), (answer, err)
    assert "hush-hush" not in json.dumps(answer) + err
    if mode == "fail":
        assert "refused ***" in answer["error"]["message"]


def test_secrets_that_airflow_lacks_are_named_all_at_once_before_anything_is_run(team):
    team.origin.release("v0.9.0", FIT_ALONE)
    team.settings("\nsecrets: {TOKEN: {variable: nobodys}, PASSWORD: {connection: no_database}}\nstatic: [fit]\n")
    code, message = team.refusal()
    assert (code, "TOKEN needs the Variable nobodys" in message) == ("StageSecretError", True), (code, message)
    assert "PASSWORD needs password of the connection no_database" in message
    assert not list(Path(workspace.home()).glob("workspaces/*/*/*"))


def test_programs_that_the_worker_lacks_are_named_with_their_stages_before_the_first_one_is_started(team):
    stages = """
stages:
  first: {cmd: touch started && echo 1 > one.json, deps: [manifest.json], outs: [one.json]}
  fit: {cmd: no-such-r x && no-such-jq y, deps: [one.json], outs: [model.json]}
  last: {cmd: no-such-jq . || true, deps: [model.json]}
"""
    team.origin.release("v0.9.0", {**FIT_ALONE, "dvc.yaml": stages})
    team.settings("\nstatic: [fit]\n")
    _, answer, err = team.try_day("--keep")
    message = answer["error"]["message"]
    assert message.startswith(
        "This worker lacks no-such-jq (stage fit) and no-such-r (stage fit). No stage was started."
    )
    assert "under queue in the pipeline's file" in message
    assert not (Path(err.partition("Kept: ")[2].splitlines()[0]) / "checkout" / "started").exists()
