"""Our own rules for every workflow. zizmor and the schema check are in `make lint`."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import action_pins
import base_images
import pytest
import yaml
from conftest import ROOT
from deploy import WAIT_SECONDS

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = {f"{name}, {job}": body for name, flow in WORKFLOWS.items() for job, body in flow["jobs"].items()}
DEPENDABOT = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
EVERY_JOB = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
SHELLCHECK = ROOT / ".local" / "envs" / "release" / "bin" / "shellcheck"


def triggers(flow: dict[Any, Any]) -> set[str]:
    return set(flow[True])  # YAML's `on`


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_no_workflow_gives_rights_to_a_foreign_change() -> None:
    for flow in WORKFLOWS.values():
        assert not triggers(flow) & {"pull_request_target", "workflow_run", "issue_comment"}


def test_every_action_is_pinned_to_a_commit_with_its_tag_beside_it() -> None:
    for path in FILES:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert action_pins.PIN.search(line), f"{path.name}: {line.strip()}"


def test_only_githubs_own_actions_are_used() -> None:
    assert {action.split("/")[0] for action, _, _ in action_pins.pins()} == {"actions"}


def test_no_workflow_has_rights_of_its_own() -> None:
    assert {name: flow["permissions"] for name, flow in WORKFLOWS.items()} == {name: {} for name in WORKFLOWS}


@EVERY_JOB
def test_a_job_has_the_rights_it_names_a_time_limit_and_a_fixed_machine(job: dict[str, Any]) -> None:
    assert "permissions" in job
    assert job["timeout-minutes"] <= 110
    assert job["runs-on"] == "ubuntu-24.04"


def test_the_job_that_deploys_lasts_longer_than_it_waits_for_the_host() -> None:
    assert JOBS["release, deploy"]["timeout-minutes"] * 60 > WAIT_SECONDS + 600


def test_rights_beyond_reading_are_where_they_are_needed_and_nowhere_else() -> None:
    rights = {
        name: {right for right, kind in job["permissions"].items() if kind == "write"} for name, job in JOBS.items()
    }
    assert {name: given for name, given in rights.items() if given} == {
        "pull_request, comment": {"contents", "pull-requests"},
        "release, find": {"id-token"},
        "release, publish": {"id-token"},
        "release, deploy": {"id-token"},
        "images, issue": {"issues"},
    }


@EVERY_JOB
def test_a_job_that_can_take_a_role_is_approved_in_an_environment(job: dict[str, Any]) -> None:
    assert ("id-token" in job["permissions"]) == (job.get("environment") == "production")


def test_a_job_that_may_write_runs_mains_code() -> None:
    (checkout,) = [s for s in WORKFLOWS["pull_request"]["jobs"]["comment"]["steps"] if "checkout" in s.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"


@EVERY_JOB
def test_no_expression_is_pasted_into_a_command(job: dict[str, Any]) -> None:
    for command in commands(job):
        assert "${{" not in command


@EVERY_JOB
def test_no_token_is_left_in_a_checkout(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_no_secret_is_read() -> None:
    for path in FILES:
        assert "secrets." not in path.read_text()


def test_a_release_waits_for_the_one_before_and_a_pull_request_does_not() -> None:
    assert WORKFLOWS["release"]["concurrency"] == {"group": "release", "cancel-in-progress": False}
    assert WORKFLOWS["pull_request"]["concurrency"]["cancel-in-progress"] is True


def test_a_release_is_looked_up_then_tested_and_built_then_published_then_deployed() -> None:
    needs = {name: job.get("needs") for name, job in WORKFLOWS["release"]["jobs"].items()}
    assert needs == {
        "check": None,
        "find": "check",
        "test": "find",
        "build": "find",
        "publish": ["test", "build"],
        "deploy": ["find", "publish"],
    }


def runs(condition: str, needs: dict[str, tuple[str, str]], *, cancelled: bool = False) -> bool:
    """GitHub's answer to a job's `if` in the words that our workflows use; `needs` is job -> (result, the output `published`)."""
    words = condition.removeprefix("${{ ").removesuffix(" }}").replace("&&", " and ").replace("||", " or ")
    words = words.replace("!cancelled()", str(not cancelled))
    for name, (result, published) in needs.items():
        words = words.replace(f"needs.{name}.result", repr(result)).replace(
            f"needs.{name}.outputs.published", repr(published)
        )
    assert re.fullmatch(r"[\s()'a-z=]*(?:(?:and|or|True|False)[\s()'a-z=]*)*", words), words
    return bool(eval(words))  # noqa: S307 - only the words above


def ran(published: str, *, failing: str = "") -> list[str]:
    """The jobs of a release that run, in order, if the look-up answers `published` and the job `failing` fails."""
    ended: dict[str, tuple[str, str]] = {}
    for name, job in WORKFLOWS["release"]["jobs"].items():
        needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        condition = job.get("if", "")
        # A condition without a function such as cancelled() is held against `success()` first.
        allowed = "cancelled()" in condition or all(ended[need][0] == "success" for need in needed)
        if not allowed or (condition and not runs(condition, ended)):
            ended[name] = ("skipped", "")
        else:
            ended[name] = ("failure", "") if name == failing else ("success", published if name == "find" else "")
    return [name for name, (result, _) in ended.items() if result != "skipped"]


def test_a_new_release_takes_every_step() -> None:
    assert ran("false") == ["check", "find", "test", "build", "publish", "deploy"]


def test_a_published_release_is_only_verified_and_deployed_as_on_the_way_back_to_an_older_one() -> None:
    assert ran("true") == ["check", "find", "deploy"]


@pytest.mark.parametrize("failing", ["check", "find", "test", "build", "publish"])
def test_nothing_is_deployed_after_a_step_that_failed(failing: str) -> None:
    assert "deploy" not in ran("false", failing=failing)
    assert "publish" not in ran("false", failing=failing) or failing == "publish"


def test_a_release_that_is_not_looked_up_is_neither_built_nor_deployed() -> None:
    assert ran("") == ["check", "find"]


def test_a_release_is_built_for_the_hosts_machine_and_checked_for_it_before_it_is_pushed() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    platform = "${{ vars.RETRAIN_PLATFORM || 'linux/amd64' }}"
    assert {jobs[name]["env"]["RETRAIN_PLATFORM"] for name in ("build", "publish")} == {platform}
    assert any('images.py --platform "$RETRAIN_PLATFORM"' in command for command in commands(jobs["build"]))


def test_the_images_are_handed_over_compressed_for_a_day() -> None:
    (images,) = (
        step["with"]
        for step in WORKFLOWS["release"]["jobs"]["build"]["steps"]
        if step.get("with", {}).get("name") == "images"
    )
    assert (images["compression-level"], images["retention-days"]) == (0, 1)


@EVERY_JOB
def test_an_artifact_can_be_uploaded_again_by_a_repeated_job(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        if "upload-artifact" in step.get("uses", ""):
            assert step["with"].get("overwrite") is True


def test_the_images_are_scanned_every_week_and_on_request() -> None:
    flow = WORKFLOWS["images"]
    assert triggers(flow) == {"schedule", "workflow_dispatch"}
    assert re.fullmatch(r"\d+ \d+ \* \* \d", flow[True]["schedule"][0]["cron"])
    assert flow["jobs"]["issue"]["needs"] == ["released", "main"]


def test_the_list_that_is_scanned_every_week_is_the_published_one() -> None:
    uploads = {
        step["with"]["name"]: step["with"]
        for step in WORKFLOWS["release"]["jobs"]["publish"]["steps"]
        if "upload-artifact" in step.get("uses", "")
    }
    assert set(uploads) == {"released"}
    assert any("name=released" in command for command in commands(WORKFLOWS["images"]["jobs"]["released"]))


def test_every_test_target_runs_on_a_pull_request() -> None:
    suites = set(WORKFLOWS["pull_request"]["jobs"]["test"]["strategy"]["matrix"]["suite"])
    assert set(re.findall(r"^(test-[a-z0-9-]+):", MAKEFILE, re.MULTILINE)) <= suites
    assert suites <= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))


@EVERY_JOB
def test_every_file_that_a_job_calls_exists(job: dict[str, Any]) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
    for command in commands(job):
        if command.startswith("make "):
            assert {word for word in command.split()[1:] if re.fullmatch(r"[a-z-]+", word)} <= targets
        for script in re.findall(r"infra/release/\w+\.py", command):
            assert (ROOT / script).exists()


@EVERY_JOB
def test_the_commands_of_a_job_are_valid_shell(job: dict[str, Any]) -> None:
    for command in commands(job):
        checked = [SHELLCHECK, "--shell=bash", "-"]
        done = subprocess.run(checked, input=command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def dependabot(ecosystem: str) -> list[str]:
    """The folders in which Dependabot looks for an ecosystem's files, with `*` as it is written."""
    entries = [entry for entry in DEPENDABOT["updates"] if entry["package-ecosystem"] == ecosystem]
    return [folder for entry in entries for folder in entry.get("directories", [entry.get("directory")])]


def tracked(pattern: str) -> set[str]:
    """The folders of the repository's files with a name, as Dependabot names folders; without those that stand for other teams' repositories."""
    command = ["git", "-C", str(ROOT), "ls-files", pattern, ":!tests/adoption/shapes"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    folders = {Path(name).parent.as_posix() for name in listed.stdout.splitlines()}
    return {"/" if folder == "." else f"/{folder}" for folder in folders}


def test_dependabot_knows_every_lock_and_every_terraform_module_once() -> None:
    assert sorted(dependabot("uv")) == sorted(tracked("*uv.lock"))
    terraform = dependabot("terraform")
    for folder in tracked("*.tf"):
        assert any(fnmatch(folder, pattern) for pattern in terraform), folder


def test_dependabot_reads_every_pin_of_an_image() -> None:
    """The compose file's name is one of those that Dependabot looks for: (docker-)compose(-x)?(.x)?.yml."""
    readers = {"Dockerfile": "docker", "docker-compose.airflow.yml": "docker-compose"}
    for path in base_images.FILES:
        folder = path.parent.relative_to(ROOT).as_posix()
        assert ("/" if folder == "." else f"/{folder}") in dependabot(readers[path.name])


@pytest.mark.parametrize("entry", yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"])
def test_a_new_version_is_a_week_old_and_comes_with_the_others(entry: dict[str, Any]) -> None:
    assert entry["cooldown"]["default-days"] >= 7
    assert [group["patterns"] for group in entry["groups"].values()] == [["*"]]


def origin(folder: Path, annotated: bool) -> str:
    """An action's repository with the tag v1.0.0; returns the tag's commit."""
    folder.mkdir(parents=True)
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (
        ["init", "--quiet"],
        ["commit", "--quiet", "--allow-empty", "--message=x"],
        ["tag", *(["--annotate", "--message=x"] if annotated else []), "v1.0.0"],
    ):
        subprocess.run([*git, *arguments], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("annotated", [True, False], ids=["annotated tag", "plain tag"])
def test_a_pin_is_compared_with_the_tag_at_its_origin(tmp_path: Path, annotated: bool) -> None:
    commit = origin(tmp_path / "actions" / "checkout", annotated)
    assert action_pins.commit_of(f"file://{tmp_path}", "actions/checkout", "v1.0.0") == commit
    assert action_pins.commit_of(f"file://{tmp_path}", "actions/checkout", "v9.9.9") is None
