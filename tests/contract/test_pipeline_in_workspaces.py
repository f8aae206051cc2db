"""Git, workspaces, DVC, the remote and the receipt together, on a small pipeline of somebody else's.

Each failure is brought about for real: stages refuse, crash, hang and are killed. What happens to objects: test_proving.py.
"""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from foreign_pipeline import DVC_CONFIG, DVC_YAML, FIT, FIT_ALONE, MANIFEST, PIPELINE, REPORT, STAGES, Pipeline

from retrain.airflow.adapters import services
from retrain.airflow.connections import Aws
from retrain.deployment.pipeline_file import load
from retrain.errors import (
    CacheCollisionError,
    DataRefusedError,
    DescriptionError,
    DiskFullError,
    EnvironmentDefinitionError,
    OriginError,
    PushError,
    StageCodeError,
    StageFailedError,
    StageKilledError,
    StageTimeoutError,
    UnprovenPushError,
)
from retrain.results import Resolved
from retrain.run.release import Release
from retrain.store.ledger import Ledger
from retrain.tasks.reproduce import reproduce as run_task
from retrain.work import git, process, workspace


@pytest.fixture
def pipeline(s3_server, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - S3 has to be up
    return Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)


@pytest.fixture(scope="module")
def published(s3_server, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - S3 has to be up
    """An attempt that was reproduced, and what its push proved. Read it only, or copy it."""
    with pytest.MonkeyPatch.context() as patch:
        attempt = Pipeline.start(tmp_path_factory.mktemp("published"), "published", deployment_dvc, patch).attempt()
        attempt.repro()
        return attempt, attempt.prove()


def fit(code):
    """A release of one stage, `fit`, which runs this code."""
    return {**FIT_ALONE, "fit.py": code}


def test_a_second_workspace_has_every_stage_from_the_cache_and_the_same_bytes(pipeline):
    first, second = pipeline.attempt(), pipeline.attempt()
    assert first.repro().executed == STAGES
    done = second.repro()
    assert (done.executed, done.cached) == ((), STAGES)
    for name in ("dvc.lock", "model.json", "data/parts/odd/odd.txt", "reports/metrics.json"):
        assert (second.checkout / name).read_bytes() == (first.checkout / name).read_bytes()


def test_a_workspace_writes_on_copies_and_never_into_the_shared_cache(published):
    attempt, _ = published
    model, cached = attempt.checkout / "model.json", attempt.cached("model.json")
    before = cached.read_bytes()
    with model.open("a") as file:
        file.write("appended")
    assert cached.read_bytes() == before
    model.write_bytes(before)


def test_two_workspaces_at_once_share_a_cache_and_both_end_green(pipeline):
    """DVC itself may fail where two write one object at the same moment. Only that is tried again, as Airflow does."""

    def until_green(attempt):
        try:
            return attempt, attempt.repro()
        except CacheCollisionError:
            again = pipeline.attempt()
            return again, again.repro()

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(until_green, [pipeline.attempt(), pipeline.attempt()]))
    assert [{*done.executed, *done.cached} for _, done in ended] == [set(STAGES)] * 2
    first, second = ((attempt.checkout / "dvc.lock").read_text() for attempt, _ in ended)
    assert first == second


def test_every_stage_is_reported_although_one_of_them_prints_without_end(pipeline):
    chatter = "\nfor n in range(2000): print('step', n)\n"
    assert pipeline.attempt(files={"fit.py": FIT + chatter}).repro().executed == STAGES


def test_what_was_pushed_is_proven_object_by_object(published):
    attempt, proven = published
    assert {p.key for p in proven.receipt.proofs} == {o.key for o in attempt.objects()}
    assert {o.path for o in attempt.objects()} >= {"data/parts", "data/parts/even.txt", "data/parts/odd/odd.txt"}
    assert proven.receipt.size == sum((attempt.program.cache / p.key).stat().st_size for p in proven.receipt.proofs)
    proven.receipt.require(attempt.objects())


def test_a_push_that_s3_refuses_says_why_in_s3_s_words(published, tmp_path):
    attempt = published[0].copy(tmp_path, "s3://no-such-bucket/dvc")
    with pytest.raises(PushError, match=r"NoSuchBucket|bucket does not exist"):
        attempt.program.push()


def test_a_receipt_of_another_outcome_is_not_taken_for_this_one(pipeline, published):
    other = pipeline.attempt("v1.1.0", fit("import pathlib\npathlib.Path('model.json').write_text('another')\n"))
    other.repro()
    with pytest.raises(UnprovenPushError, match=r"model\.json \(stage fit"):
        published[1].receipt.require(other.objects())


@pytest.mark.slow
def test_what_dvc_keeps_nowhere_needs_no_proof_in_a_folder_of_its_own_too(pipeline):
    """`cache: false`, at the top and under a `wdir`, from which dvc.lock's paths start."""
    scratch = "\npathlib.Path('scratch.txt').write_text('not kept ' + pathlib.Path.cwd().name)\n"
    at_top = DVC_YAML + "    outs:\n      - scratch.txt: {cache: false}\n"
    below = """
  below:
    wdir: sub
    cmd: python report.py
    deps: [report.py, ../model.json]
    metrics: [reports/metrics.json]
    outs:
      - notes.txt: {cache: false}
"""
    sub = REPORT.replace('"model.json"', '"../model.json"') + scratch.replace("scratch", "notes")
    attempt = pipeline.attempt(files={"dvc.yaml": at_top + below, "report.py": REPORT + scratch, "sub/report.py": sub})
    attempt.repro()
    assert attempt.prove().receipt.proofs
    assert not [item.path for item in attempt.objects() if item.path.endswith(("scratch.txt", "notes.txt"))]
    assert set(attempt.description.metrics) == {"reports/metrics.json", "sub/reports/metrics.json"}


def test_a_stage_that_refuses_its_data_is_quoted_with_its_own_sentence(pipeline):
    """Its last line on stderr, whatever it has printed before."""
    sentence = "dt=2020-03-05/part-0.parquet: column fare holds text; land the day again."
    refusing = f"import sys\nprint('reading 312 rows')\nprint({sentence!r}, file=sys.stderr)\nsys.exit(65)\n"
    with pytest.raises(DataRefusedError) as caught:
        pipeline.attempt(files=fit(refusing)).repro()
    assert str(caught.value) == f"Stage fit refused its data: {sentence}"


def test_a_stage_that_is_killed_is_infrastructure_with_its_name(pipeline):
    with pytest.raises(
        StageKilledError, match=r"Stage fit was ended by signal 9 \(often the kernel's, out of memory\)"
    ):
        pipeline.attempt(files=fit("import os\nos.kill(os.getpid(), 9)\n")).repro()


def test_dvc_itself_killed_names_the_stage_that_was_running(pipeline):
    with pytest.raises(StageKilledError, match="Stage fit was ended by signal 9"):
        pipeline.attempt(files=fit("import os\nos.kill(os.getppid(), 9)\n")).repro()


def test_an_import_that_fails_asks_for_a_new_release(pipeline):
    with pytest.raises(
        StageCodeError, match=r"Stage fit failed: ModuleNotFoundError: No module named 'nowhere'\..*release"
    ):
        pipeline.attempt(files=fit("import nowhere\n")).repro()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(fit("raise ValueError('odd')\n"), r"Stage fit failed with exit 1: ValueError: odd", id="raises"),
        pytest.param(fit(""), r"Stage fit failed: output 'model\.json' does not exist", id="writes nothing"),
        pytest.param(
            {**FIT_ALONE, "dvc.yaml": FIT_ALONE["dvc.yaml"].replace("manifest.json]", "lost.json]")},
            r"Stage fit failed: .*lost\.json",
            id="needs what nobody makes",
        ),
    ],
)
def test_any_other_failure_is_told_with_its_evidence_and_without_a_guess(pipeline, files, said):
    with pytest.raises(StageFailedError, match=said):
        pipeline.attempt(files=files).repro()


def test_a_release_that_dvc_refuses_is_named_with_the_place_before_any_stage_runs(pipeline):
    attempt = pipeline.attempt(files={"dvc.yaml": DVC_YAML.replace("outs: [model", "outz: [model")})
    with pytest.raises(
        DescriptionError,
        match=r"DVC refuses the release: .*dvc\.yaml' validation failed: .* stages -> fit -> outz, line 12, column 11\. Fix it in a new release",
    ):
        attempt.repro()
    assert not (attempt.checkout / "data").exists()


def test_an_exception_is_quoted_although_the_stage_prints_on_after_it(pipeline):
    failing = """
import atexit
atexit.register(lambda: print("\\nHint: only add the types that you have reviewed"))
try:
    open("nowhere")
except OSError as error:
    raise ValueError("the table has\\n  no rows") from error
"""
    with pytest.raises(StageFailedError) as caught:
        pipeline.attempt(files=fit(failing)).repro()
    assert str(caught.value) == "Stage fit failed with exit 1: ValueError: the table has no rows"
    assert (caught.value.stage, caught.value.code) == ("fit", 1)


def test_a_stage_that_ends_without_a_word_is_told_as_such(pipeline):
    with pytest.raises(StageFailedError, match=r"^Stage fit failed with exit 3: no output$"):
        pipeline.attempt(files=fit("import os\nos._exit(3)\n")).repro()


def test_each_stage_is_measured_and_one_from_the_cache_has_used_no_memory(pipeline):
    """A stage that computes for a second of its own CPU's time is sampled at least once."""
    hungry = "\nimport time\nheld = b'x' * (200 << 20)\nwhile time.process_time() < 1: pass\n"
    done = pipeline.attempt(files={"fit.py": FIT + hungry}).repro()
    fit = next(stage for stage in done.stages if stage.name == "fit")
    assert 200 << 20 < fit.peak_memory < 1 << 30
    assert fit.seconds >= 1
    assert fit.seconds <= sum(stage.seconds for stage in done.stages) <= done.seconds
    again = pipeline.attempt().repro()
    assert [(stage.outcome, stage.peak_memory) for stage in again.stages] == [("cached", 0)] * 3


@pytest.mark.slow
def test_what_the_dvc_yaml_at_the_top_needs_of_others_is_run_and_proven_and_nothing_else_of_them(pipeline):
    """As `dvc repro` does it."""
    nested = {
        "dvc.yaml": DVC_YAML.replace("deps: [fit.py,", "deps: [prep/table.txt, fit.py,"),
        "prep/dvc.yaml": "stages: {table: {cmd: echo 1 > table.txt, deps: [source.txt], outs: [table.txt]}}",
        "prep/source.txt": "1",
        "other/dvc.yaml": """
stages: {size: {cmd: exit 1, deps: [../model.json], outs: [size.txt], metrics: [size.json]}}
artifacts: {other: {path: size.txt, type: model}}
metrics: [never.json]
""",
    }
    attempt = pipeline.attempt(files=nested)
    assert set(attempt.repro().executed) == {*STAGES, "prep/dvc.yaml:table"}
    described = attempt.description
    assert {stage.name for stage in described.stages if not stage.reached} == {"other/dvc.yaml:size"}
    assert (list(described.metrics), described.models, described.missing) == (["reports/metrics.json"], (), ())
    assert attempt.named("prep/table.txt").key in {proof.key for proof in attempt.prove().receipt.proofs}


# A release with packages; each stage writes which version of one of them it has seen.
WITH_PACKAGES = {"uv.lock": None, "pyproject.toml": None}
SEEN = "\nimport importlib.metadata\npathlib.Path('model.json').write_text(importlib.metadata.version('iniconfig'))\n"


def with_iniconfig(version):
    two_stages = {"dvc.yaml": DVC_YAML.split("  report:")[0], "report.py": None}
    return {**WITH_PACKAGES, **two_stages, "requirements.txt": f"iniconfig=={version}\n", "fit.py": FIT + SEEN}


@pytest.mark.slow
def test_a_release_that_changes_one_package_runs_its_stages_again_and_going_back_finds_its_own(pipeline):
    first = pipeline.attempt("v1.0.0", with_iniconfig("2.0.0"))
    assert first.repro().executed == ("split", "fit")
    second = pipeline.attempt("v1.1.0", with_iniconfig("2.1.0"))
    assert second.repro().executed == ("split", "fit")
    back = pipeline.attempt("v1.0.0")
    assert back.repro().cached == ("split", "fit")
    assert [(a.checkout / "model.json").read_text() for a in (first, second, back)] == ["2.0.0", "2.1.0", "2.0.0"]
    assert second.cached("data/parts") == first.cached("data/parts")


def test_a_dvc_lock_in_the_release_does_not_bring_the_outputs_of_another_environment(pipeline):
    """DVC takes outputs that dvc.lock names out of the cache without its run cache."""
    first = pipeline.attempt("v1.0.0", with_iniconfig("2.0.0"))
    first.repro()
    lock = (first.checkout / "dvc.lock").read_text()
    second = pipeline.attempt("v1.1.0", {**with_iniconfig("2.1.0"), "dvc.lock": lock})
    assert second.repro().executed == ("split", "fit")
    assert (second.checkout / "model.json").read_text() == "2.1.0"


def test_a_frozen_stage_keeps_what_the_release_s_dvc_lock_says_of_it(pipeline, published):
    first, _ = published
    shutil.copytree(first.program.cache, workspace.home() / "cache" / PIPELINE, symlinks=True)
    lock = (first.checkout / "dvc.lock").read_text()
    frozen = DVC_YAML.replace("    outs: [model.json]", "    frozen: true\n    outs: [model.json]")
    model = (first.checkout / "model.json").read_text()
    second = pipeline.attempt("v1.1.0", {"dvc.yaml": frozen, "dvc.lock": lock, "model.json": model})
    done = second.repro()
    assert (done.executed, done.cached) == ((), ("split", "fit", "report"))


def test_a_stage_that_hangs_is_ended_with_its_children_even_when_they_ignore_sigterm(pipeline, monkeypatch):
    monkeypatch.setattr(process, "_GRACE_SECONDS", 1)
    stubborn = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
open("written", "w").write(f"{os.getpid()} {child.pid}")
os.rename("written", "pids")
signal.pause()
"""
    for seconds in (3, 15, 75):  # on a busy machine the stage begins later
        attempt = pipeline.attempt(files=fit(stubborn))
        with pytest.raises(StageTimeoutError) as caught:
            attempt.repro(timeout=seconds)
        if (attempt.checkout / "pids").exists():
            break
    assert "in stage fit. Raise limits.reproduce_minutes" in str(caught.value)
    pids = [int(pid) for pid in (attempt.checkout / "pids").read_text().split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_stages_run_for_a_service_account_that_may_not_log_in(pipeline, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/sbin/nologin")
    assert pipeline.attempt(files=FIT_ALONE).repro().executed == ("fit",)


def test_a_stage_sees_the_release_s_python_and_the_credentials_and_nothing_of_airflow(pipeline, stack, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    dump = "import json, os, pathlib, sys\npathlib.Path('model.json').write_text(json.dumps([sys.prefix, dict(os.environ)]))\n"
    attempt = pipeline.attempt(files=fit(dump))
    attempt.repro()
    prefix, seen = json.loads((attempt.checkout / "model.json").read_text())
    assert prefix.startswith(str(pipeline.environments))
    assert prefix != sys.prefix
    assert (seen["AWS_ENDPOINT_URL"], seen["AWS_ACCESS_KEY_ID"]) == (stack.s3_url, stack.secrets.s3_access_key)
    assert not [name for name in seen if name.startswith("AIRFLOW")]


def test_a_release_that_names_another_remote_and_cache_uses_ours_and_keeps_its_file(published):
    attempt, proven = published
    assert proven.receipt.proofs
    assert (attempt.checkout / ".dvc" / "config").read_text() == DVC_CONFIG
    assert not list(attempt.place.path.parent.rglob("elsewhere-cache"))


def test_no_credential_is_written_into_a_workspace(published):
    secret = Aws("aws_default").environment()["AWS_SECRET_ACCESS_KEY"].encode()
    attempt, _ = published
    written = [path for path in attempt.place.path.rglob("*") if path.is_file()]
    assert attempt.checkout / ".dvc" / "config.local" in written
    assert not [path for path in written if secret in path.read_bytes()]


def test_a_run_writes_nothing_to_the_origin(pipeline):
    pipeline.origin.release("v1.0.0", FIT_ALONE)
    before = pipeline.origin.refs()
    attempt = pipeline.attempt()
    attempt.repro()
    attempt.prove()
    assert pipeline.origin.refs() == before
    assert pipeline.origin.git("ls-remote", "origin").count("\n") == before.count("\n") - 1


DEPLOYMENT = """
schema_version: 1
description: Somebody else's pipeline.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: {origin}, environment: .}}
raw: {{url: "s3://raw/foreign", window_days: 1}}
store: {remote}
ledger: s3://${{RETRAIN_LEDGER_BUCKET}}/ledger
limits: {{min_free_disk_mb: {min_free_disk_mb}}}
tracking: {{experiment: foreign}}
slack: {{channel: "#alerts"}}
"""


@pytest.fixture
def reproduce(pipeline, s3, tmp_path):
    """The task `reproduce`, on a release with `files` changed."""

    def run(files, min_free_disk_mb=1):
        pipeline.origin.release("v1.0.0", files)
        file = tmp_path / f"{PIPELINE}.yaml"
        file.write_text(
            DEPLOYMENT.format(origin=pipeline.origin.path, remote=pipeline.remote, min_free_disk_mb=min_free_disk_mb)
        )
        deployment, spec = load(file), pipeline.spec("v1.0.0")
        Ledger(s3, deployment.ledger).put_manifest(spec, MANIFEST)
        return run_task(services(deployment), Resolved.of(spec, "manual", "daily"))

    return run


def attempts():
    return list((workspace.home() / "workspaces").glob("*/*/*"))


def test_an_attempt_that_succeeds_leaves_its_workspace_to_the_tasks_after_it(reproduce):
    done = reproduce(FIT_ALONE)
    assert [str(path) for path in attempts()] == [done.workspace]
    assert done.executed == ["fit"]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        pytest.param(fit("import sys\nsys.exit(65)\n"), DataRefusedError, id="a stage refuses"),
        pytest.param({"uv.lock": "version = 1\n"}, EnvironmentDefinitionError, id="the environment cannot be built"),
    ],
)
def test_an_attempt_that_fails_leaves_no_workspace(reproduce, files, error):
    with pytest.raises(error):
        reproduce(files)
    assert attempts() == []


def test_a_checkout_that_fails_leaves_no_workspace(pipeline):
    commit = pipeline.origin.release("v1.0.0")
    mirror = git.mirror(pipeline.origin.address, Release("v1.0.0", commit), workspace.mirrors())
    blob = pipeline.origin.git("rev-parse", f"{commit}:fit.py")
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(OriginError, match=r"lost the content of fit\.py .*Remove that folder"):
        pipeline.attempt()
    assert attempts() == []


def test_a_full_disk_is_refused_before_anything_is_written(reproduce, tmp_path):
    before = sorted(workspace.home().iterdir())
    with pytest.raises(DiskFullError, match=rf"{tmp_path}.*MB free.*Nothing was written"):
        reproduce({}, min_free_disk_mb=10**9)
    assert sorted(workspace.home().iterdir()) == before


def test_a_volume_that_has_reached_its_limit_refuses_a_run_by_name_before_anything_is_written(reproduce, monkeypatch):
    before = sorted(workspace.home().iterdir())
    monkeypatch.setenv("RETRAIN_HOME_LIMIT_GB", "0.001")
    with pytest.raises(DiskFullError, match=r"0 MB free below RETRAIN_HOME_LIMIT_GB=0\.001.*Nothing was written"):
        reproduce({})
    assert sorted(workspace.home().iterdir()) == before


def test_ending_a_run_removes_all_its_attempts_and_no_other_run_s(pipeline):
    pipeline.attempt()
    pipeline.attempt()
    other = workspace.create(
        pipeline.origin.address, pipeline.spec("v1.0.0"), MANIFEST, dag_run="another run", min_free_mb=1
    )
    assert len(attempts()) == 3
    workspace.remove(PIPELINE, "manual")
    assert attempts() == [other.path]


def test_runs_that_end_together_do_not_stumble_over_each_other(pipeline):
    """What one of them lists, another may have removed before it looks: an entry that leads nowhere."""
    attempt = pipeline.attempt()
    (attempt.place.path.parent.parent / "gone").symlink_to("nowhere")
    workspace.remove(PIPELINE, "manual")
    assert attempts() == []
