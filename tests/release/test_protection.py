"""GitHub's rules around a release, against a stand-in that answers and refuses as GitHub's REST API does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import protection
import protection_rules
import pytest
import yaml
from conftest import ROOT
from github_server import github_server
from protected_repository import ProtectionError
from protection_rules import load
from rules_standin import ADMIN, REPOSITORY, STRANGER, WORKFLOW, RulesStandin


@pytest.fixture
def github() -> Iterator[RulesStandin]:
    standin = RulesStandin()

    def answer(token: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        standin.asked.append(f"{method} {path}")
        return standin.answer(token, method, path, body)

    with github_server(answer) as standin.url:
        yield standin


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(github: RulesStandin, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with a token; returns its exit code and everything that it printed."""

    def command(name: str, token: str = ADMIN) -> tuple[int, str]:
        environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": token}
        code = protection.main([name], environ)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return command


@pytest.fixture
def with_reviewers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if protection.toml named a person and a team."""
    wanted = load()
    named = protection_rules.Protection(**{**vars(wanted), "reviewers": ["ada", "example/platform"]})
    monkeypatch.setattr(protection, "load", lambda: named)


def test_what_was_applied_passes_the_check_and_applying_again_changes_nothing(github, run):
    code, said = run("apply")
    assert (code, said.splitlines()[0]) == (0, "production: made, or kept, without reviewers.")
    assert run("check") == (0, "GitHub's rules are those of protection.toml.\n")
    made = (github.environments.copy(), list(github.policies), dict(github.rulesets))
    assert run("apply")[0] == 0
    assert (github.environments, github.policies, github.rulesets) == made


def test_only_release_tags_deploy_and_they_never_move(github, run):
    run("apply")
    assert [(each["name"], each["type"]) for each in github.policies] == [("v*", "tag")]
    by_name = {each["name"]: each for each in github.rulesets.values()}
    moving = by_name["release tags never move"]
    assert moving["conditions"] == {"ref_name": {"include": ["refs/tags/v*"], "exclude": []}}
    assert {rule["type"] for rule in moving["rules"]} == {"update", "deletion"}
    assert moving["bypass_actors"] == []
    assert by_name["release tags are made by few"]["bypass_actors"] == [
        {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}
    ]


def test_an_unprotected_environment_is_a_difference_and_is_protected_by_applying(github, run):
    github.environments["production"] = {"protection_rules": [], "deployment_branch_policy": None}
    code, said = run("check")
    assert code == 1
    assert "production: every branch may deploy" in said
    assert "ruleset 'release tags never move' is not there." in said
    run("apply")
    assert run("check")[0] == 0


def test_a_branch_that_may_deploy_is_named_and_removed(github, run):
    run("apply")
    github.policies.append({"id": 999, "name": "try/*", "type": "branch"})
    assert run("check") == (1, "production: ['branch try/*', 'tag v*'] may deploy; wanted is tag v*.\n")
    assert "try/* may no longer deploy" in run("apply")[1]
    assert run("check")[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"enforcement": "disabled"}, "enforcement is 'disabled'; wanted is 'active'.", id="switched off"),
        pytest.param({"rules": [{"type": "deletion"}]}, "the rule update is missing.", id="a rule removed"),
        pytest.param(
            {"bypass_actors": [{"actor_id": 4, "actor_type": "RepositoryRole"}]},
            "RepositoryRole 4 may bypass it, which is not wanted.",
            id="a way around it",
        ),
        pytest.param(
            {"conditions": {"ref_name": {"include": ["refs/tags/v*"], "exclude": ["refs/tags/v9*"]}}},
            "conditions is",
            id="an exception",
        ),
    ],
)
def test_each_change_of_a_ruleset_is_a_difference(github, run, change, said):
    run("apply")
    ruleset = next(each for each in github.rulesets.values() if each["name"] == "release tags never move")
    ruleset |= change
    code, printed = run("check")
    assert code == 1
    assert f"ruleset 'release tags never move': {said}" in printed


def test_a_check_that_main_no_longer_requires_is_a_difference_and_one_more_is_none(github, run):
    run("apply")
    main = next(each for each in github.rulesets.values() if each["target"] == "branch")
    main["rules"].append({"type": "required_signatures"})
    assert run("check")[0] == 0
    parameters = next(r for r in main["rules"] if r["type"] == "required_status_checks")["parameters"]
    parameters["required_status_checks"] = parameters["required_status_checks"][1:]
    code, said = run("check")
    assert code == 1
    assert "required_status_checks: required_status_checks is" in said


def test_a_workflows_own_token_checks_everything_but_the_ways_around_and_says_so(github, run):
    run("apply")
    code, said = run("check", WORKFLOW)
    assert code == 0
    assert said.count("this token cannot see who may bypass it") == 3
    github.policies.clear()
    assert run("check", WORKFLOW)[0] == 1


def test_a_workflows_own_token_may_not_apply(run):
    code, said = run("apply", WORKFLOW)
    assert code == 1
    assert "needs Administration: write" in said


@pytest.mark.parametrize("token", [STRANGER, ADMIN])
def test_what_cannot_be_read_is_no_success(run, token):
    code, said = run("check", token)
    assert code == 1
    assert "GitHub answered 404 to GET /repos/example/trip-duration/environments/production" in said
    assert "It does not exist (run `protection.py apply`), or the token lacks the right" in said


@pytest.mark.usefixtures("with_reviewers")
def test_reviewers_that_the_plan_does_not_have_are_named_and_the_rest_is_applied(github, run):
    code, said = run("apply")
    assert code == 0
    assert "production: NO REVIEWERS. Private repositories have required reviewers on GitHub Enterprise only." in said
    assert len(github.rulesets) == 3
    assert run("check") == (1, "production: its reviewers are []; wanted are ['ada', 'example/platform'].\n")


@pytest.mark.usefixtures("with_reviewers")
def test_reviewers_are_set_where_the_plan_has_them(github, run):
    github.plan = "enterprise"
    assert "wait for one of ada, example/platform" in run("apply")[1]
    assert run("check")[0] == 0
    assert github.environments["production"]["protection_rules"][0]["prevent_self_review"]


def test_a_plan_without_rulesets_is_named_and_never_passes(github, run):
    github.plan = "free"
    for command in ("apply", "check"):
        if command == "check":
            assert github.environments
        code, said = run(command)
        assert code == 1
        assert "This plan has no rulesets for private repositories" in said


def test_rules_on_a_second_page_are_found(github, run):
    run("apply")
    ours = dict(github.rulesets)
    github.rulesets = {1000 + n: {"id": 1000 + n, "name": f"another {n}"} for n in range(150)} | ours
    assert run("check")[0] == 0
    assert any("page=2" in request for request in github.asked)


def test_an_api_that_does_not_answer_is_no_success(capsys):
    environ = {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": ADMIN}
    assert protection.main(["check"], environ) == 1
    assert "GitHub did not answer GET" in capsys.readouterr().err
    assert protection.main(["check"], {}) == 1
    assert protection.main([], {}) == 64


def test_every_job_of_the_pull_request_is_required_but_the_one_that_comments():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "pull_request.yml").read_text())["jobs"]
    names = [
        name
        for job in jobs.values()
        for name in job.get("strategy", {}).get("matrix", {}).get("suite", [job["name"]])
        if name != "comment"
    ]
    assert sorted(load().checks) == sorted(names)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("environment = 1 2", id="no TOML"),
        pytest.param('environment = "production"', id="a key is missing"),
        pytest.param((ROOT / "infra" / "release" / "protection.toml").read_text() + "\nother = 1", id="an unknown key"),
        pytest.param(
            (ROOT / "infra" / "release" / "protection.toml").read_text().replace('["admin"]', '["write"]'),
            id="a role that GitHub does not have here",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path, text):
    file = tmp_path / "protection.toml"
    file.write_text(text)
    with pytest.raises(ProtectionError, match=r"protection\.toml"):
        load(file)


def repository(folder: Path) -> Path:
    """A checkout of the tag v1.1.0, as the job `check` has it; main requires one more check than that tag's protection.toml."""
    origin, checkout = folder / "origin", folder / "checkout"
    rules = origin / "infra" / "release"
    shutil.copytree(ROOT / "infra" / "release", rules, ignore=shutil.ignore_patterns("__pycache__"))
    newer = (rules / "protection.toml").read_text()
    (rules / "protection.toml").write_text(newer.replace('  "quality",\n', ""))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(origin)]
    for words in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "tag", "v1.1.0"], check=True)
    (rules / "protection.toml").write_text(newer)
    subprocess.run([*git, "commit", "--quiet", "--all", "-m", "b"], check=True)
    subprocess.run(["git", "clone", "--quiet", "--branch=v1.1.0", str(origin), str(checkout)], check=True)
    return checkout


def test_an_older_tag_is_checked_against_the_rules_that_main_asks_for(github, run, tmp_path):
    checkout = repository(tmp_path)
    run("apply")  # main's
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    (command,) = (step["run"] for step in jobs["check"]["steps"] if "protection.py" in step.get("run", ""))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": WORKFLOW,
        "NO_PROXY": "127.0.0.1",
    }
    asked = ["bash", "-eo", "pipefail", "-c", command]
    done = subprocess.run(asked, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    github.policies.append({"id": 999, "name": "try/*", "type": "branch"})
    shutil.rmtree(tmp_path / "main")
    subprocess.run(["git", "-C", str(checkout), "worktree", "prune"], check=True)
    done = subprocess.run(asked, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "['branch try/*', 'tag v*'] may deploy" in done.stdout
