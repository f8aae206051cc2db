"""A run's own environment with the real uv, Git and DVC: a checkout's packages are there for its run, and for no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from foreign_pipeline import FIT_ALONE, MANIFEST, PIPELINE, Attempt, Pipeline
from own_packages import LAYOUTS, SRC
from team_origin import isolated_git

from retrain.airflow.connections import Aws
from retrain.deployment.run_settings import RunSettings
from retrain.errors import EnvironmentBuildError, StageFailedError
from retrain.work import run_environment, workspace
from retrain.work.dvc.opened import of_workspace
from retrain.work.dvc.program import Dvc
from retrain.work.environments import environment
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.errors import ProjectInstallError
from retrain.work.stage_variables import NO_VARIABLES, StageVariables

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# The package with code that its folder alone does not give: its metadata, and what other packages find of it.
ASK = """
import importlib.metadata, random, sys
import {module}
print(importlib.metadata.version("{name}"))
print([each.name for each in importlib.metadata.entry_points(group="their.group")])
print(random.__file__ == sys.argv[1])
"""


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """Makes a checkout of files, committed."""
    isolated_git(tmp_path / "engineer", monkeypatch)

    def make(files, name="checkout"):
        checkout = tmp_path / name
        for path, text in files.items():
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text(text)
        for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "theirs"]):
            subprocess.run(["git", *arguments], cwd=checkout, check=True)
        return checkout

    return make


def said(run, *command, cwd, **variables):
    """What a program of a run prints."""
    env = {**os.environ, "PATH": run.search_path, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_package_of_the_checkout_is_there_as_after_pip_install_editable(layout, commit, environments, tmp_path):
    checkout = commit({**layout.files, "random.py": "raise SystemExit('not the library')", "top.py": "X = 1\n"})
    shared = environment.install(f"# python {RUNNING}\n# local .\n", environments)
    before = sorted(str(path) for path in shared.path.rglob("*"))
    run = run_environment.provide(shared, tmp_path / "run", checkout, ".")
    ask = ASK.format(module=layout.module, name=layout.name)
    library = said(run, "python", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))", cwd=tmp_path)
    # In another folder, without any variable, and where a stage sets PYTHONPATH itself.
    for flags, variables in ((["-I", "-B"], {}), ([], {"PYTHONPATH": "/nowhere"})):
        answer = said(
            run, "python", *flags, "-c", f"import top\n{ask}", f"{library}/random.py", cwd=tmp_path, **variables
        )
        assert answer == "1.2\n['hello']\nTrue"
    assert said(run, "greet", cwd=tmp_path) == "hello of version 1"
    status = subprocess.run(["git", "status", "--short", "--ignored"], cwd=checkout, check=True, capture_output=True)
    assert status.stdout == b""  # a stage may depend on the folder of the code
    assert sorted(str(path) for path in shared.path.rglob("*")) == before


def test_programs_of_the_shared_environment_use_the_run_s_python_also_where_its_path_is_long(
    commit, environments, tmp_path
):
    checkout = commit(SRC.files)
    shared = environment.install(_with_pytest(tmp_path), environments)
    deep = tmp_path / ("deep" * 20) / ("deeper" * 20)
    run = run_environment.provide(shared, deep, checkout, ".")
    (tmp_path / "test_it.py").write_text("import greeting, sys\n\ndef test_it():\n    print(sys.prefix)\n")
    assert f"{run.path}\n" in said(run, "pytest", "-s", "-p", "no:cacheprovider", "test_it.py", cwd=tmp_path)


def _with_pytest(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("pytest\n")
    text = environment.resolution.resolve(EnvironmentDefinition(project), tmp_path / "resolutions")
    return text.replace("\n", "\n# local .\n", 1)


def test_a_package_that_cannot_be_built_is_the_release_s_failure_with_package_and_reason(
    commit, environments, tmp_path
):
    checkout = commit({"libs/broken/setup.py": "raise ValueError('no compiler for this')\n"})
    shared = environment.install(f"# python {RUNNING}\n# local libs/broken\n", environments)
    with pytest.raises(
        ProjectInstallError, match=r"own package in libs/broken was not installed.*no compiler for this"
    ):
        run_environment.provide(shared, tmp_path / "run", checkout, ".")


def test_a_package_that_nobody_asked_for_may_fail_to_build(commit, environments, tmp_path, caplog):
    checkout = commit({"setup.py": "raise ValueError('no compiler for this')\n", "top.py": "X = 1\n"})
    shared = environment.install(f"# python {RUNNING}\n# own .\n", environments)
    run = run_environment.provide(shared, tmp_path / "run", checkout, ".")
    assert "no compiler for this" in caplog.text
    assert said(run, "python", "-c", "import top; print(top.X)", cwd=tmp_path) == "1"


def test_a_package_index_that_does_not_answer_is_no_failure_of_the_release(commit, environments, tmp_path, monkeypatch):
    checkout = commit(SRC.files)
    shared = environment.install(f"# python {RUNNING}\n# local .\n", environments)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")  # the discard port: nobody answers
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
    with pytest.raises(EnvironmentBuildError, match=r"own package in \. was not installed"):
        run_environment.provide(shared, tmp_path / "run", checkout, ".")


def test_a_run_s_environment_is_made_once_and_again_for_another_checkout(commit, environments, tmp_path):
    shared = environment.install(f"# python {RUNNING}\n# local .\n", environments)
    one, other = commit(SRC.files, "one"), commit(SRC.files, "other")
    first = run_environment.provide(shared, tmp_path / "run", one, ".")
    (first.path / "kept").touch()
    run_environment.provide(shared, tmp_path / "run", one, ".")
    assert (first.path / "kept").exists()
    again = run_environment.provide(shared, tmp_path / "run", other, ".")
    assert str(other) in said(again, "python", "-c", "import greeting; print(greeting.__file__)", cwd=tmp_path)


# The stage imports the package; its own dependencies do not name the package's code.
STAGE = {
    **FIT_ALONE,
    **SRC.files,
    "uv.lock": None,
    "dvc.yaml": "stages: {fit: {cmd: python fit.py, deps: [manifest.json], outs: [model.json]}}\n",
    "fit.py": "import greeting, os\nfile = open('model.json', 'w')\nfile.write(greeting.main.__doc__ or os.environ.get('MODE', 'one'))\n",
}
OTHER_CODE = {**STAGE, "src/greeting/__init__.py": "def main():\n    'two'\n"}


@pytest.fixture
def pipeline(s3_server, deployment_dvc, tmp_path, monkeypatch, request):  # noqa: ARG001 - S3 has to be up
    return Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)


def attempt(pipeline, tag, files, variables=NO_VARIABLES, settings=RunSettings()):  # noqa: B008 - it is frozen
    """An attempt of a release whose package is in its own repository."""
    if tag not in pipeline.origin.git("tag").split():
        pipeline.origin.release(tag, files)
    place = workspace.create(pipeline.origin.address, pipeline.spec(tag), MANIFEST, dag_run=tag, min_free_mb=1)
    shared = environment.install(f"# python {RUNNING}\n# local .\n", pipeline.environments)
    run = of_workspace(place, shared, settings)
    cache, aws = workspace.home() / "cache" / PIPELINE, Aws("aws_default")
    program = Dvc.of(
        place.checkout, shared, pipeline.deployment_dvc, cache, aws.environment(), run=run, variables=variables
    )
    program.configure(pipeline.remote, aws.endpoint)
    return Attempt(place, program, pipeline.remote)


def model(done):
    return (done.checkout / "model.json").read_text()


def test_a_release_that_changes_only_its_package_does_not_get_the_old_outputs(pipeline):
    first, other = attempt(pipeline, "v1.0.0", STAGE), attempt(pipeline, "v1.1.0", OTHER_CODE)
    assert first.repro().executed == ("fit",)
    assert other.repro().executed == ("fit",)
    assert (model(first), model(other)) == ("one", "two")
    shutil.rmtree(first.place.path)
    assert attempt(pipeline, "v1.1.0", OTHER_CODE).repro().cached == ("fit",)
    again = attempt(pipeline, "v1.0.0", STAGE)
    assert again.repro().cached == ("fit",)
    (again.checkout / "model.json").unlink()
    said(
        of_workspace(
            again.place, environment.install(f"# python {RUNNING}\n# local .\n", pipeline.environments), RunSettings()
        ),
        "python",
        "fit.py",
        cwd=again.checkout,
    )
    assert model(again) == "one"


def test_two_workspaces_at_once_use_each_its_own_code(pipeline):
    first, other = attempt(pipeline, "v1.0.0", STAGE), attempt(pipeline, "v1.1.0", OTHER_CODE)
    other.repro()
    first.repro()
    assert (model(first), model(other)) == ("one", "two")


def test_a_variable_of_the_pipeline_s_file_reaches_the_stage_and_another_value_runs_it_again(pipeline):
    daily, weekly = (StageVariables({"MODE": mode}) for mode in ("daily", "weekly"))
    first = attempt(pipeline, "v1.0.0", STAGE, daily)
    first.repro()
    other = attempt(pipeline, "v1.0.0", STAGE, weekly)
    assert other.repro().executed == ("fit",)
    assert (model(first), model(other)) == ("daily", "weekly")
    assert attempt(pipeline, "v1.0.0", STAGE, daily).repro().cached == ("fit",)


def test_a_secret_that_a_stage_prints_before_it_fails_is_in_no_error_and_no_log(pipeline, caplog):
    code = "import os, sys\nprint(os.environ['TOKEN'])\nsys.exit('refused ' + os.environ['TOKEN'])\n"
    secret = StageVariables({}, {"TOKEN": "hush-hush-hush"})
    failing = attempt(pipeline, "v1.0.0", {**STAGE, "fit.py": code}, secret)
    with caplog.at_level("INFO"), pytest.raises(StageFailedError, match=r"refused \*\*\*") as raised:
        failing.repro()
    assert "hush-hush" not in f"{raised.value} {raised.value.printed} {caplog.text}"


def test_keys_of_the_stages_own_are_used_by_them_and_not_by_dvc_push(pipeline):
    code = "import os\nopen('model.json', 'w').write(os.environ['AWS_ACCESS_KEY_ID'] + str(os.environ.get('AWS_ENDPOINT_URL')))\n"
    theirs = StageVariables({}, {"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": "theirs-too"})
    one = attempt(pipeline, "v1.0.0", {**STAGE, "fit.py": code}, theirs)
    one.repro()
    assert model(one) == "theirsNone"
    assert [each.key for each in one.prove().receipt.proofs] == [each.key for each in one.objects()]


def test_a_module_of_the_repository_breaks_neither_dvc_nor_the_standard_library(pipeline):
    files = {
        **STAGE,
        "yaml.py": "raise SystemExit('not the package')\n",
        "types.py": "raise SystemExit('not the library')\n",
    }
    files["fit.py"] = "import os\nos.write(os.open('model.json', os.O_CREAT | os.O_WRONLY), b'{}')\n"
    files["dvc.yaml"] = "stages: {fit: {cmd: python -P fit.py, deps: [manifest.json], outs: [model.json]}}\n"
    assert attempt(pipeline, "v1.0.0", files, StageVariables({"PYTHONPATH": "."})).program.lacks([]) == ()
    one = attempt(pipeline, "v1.0.0", files)
    assert one.repro().executed == ("fit",)


def test_the_shell_of_the_stages_says_which_programs_a_worker_lacks(pipeline, monkeypatch):
    monkeypatch.setenv("BASH_FUNC_their_function%%", "() { echo x; }")
    program = attempt(pipeline, "v1.0.0", STAGE).program
    assert program.lacks(["python", "greet", "cd", "if", "their_function", "no-such-program"]) == ("no-such-program",)
