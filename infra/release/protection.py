"""Set or check GitHub's rules around a release: `protection.py apply` or `protection.py check`, with the file protection.toml.

Reads GITHUB_REPOSITORY (owner/name), GITHUB_TOKEN and GITHUB_API_URL. `apply` needs a token of an administrator (a fine-grained
token: Administration, read and write). For `check` a workflow's own token with `actions: read` is
enough, except that GitHub names those who may bypass a rule to administrators only; `check` says when it could not see that.
`check` exits with 1 and prints one line for each difference, or for a setting that cannot be read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from protected_repository import ProtectedRepository, ProtectionError, RefusedError
from protection_rules import Protection, compared, load, rulesets

_NO_PLAN = "billing plan"  # in GitHub's refusal of a rule that the plan does not have
_NO_RULESETS = "Upgrade to GitHub"
_UNPROCESSABLE, _FORBIDDEN, _NOT_FOUND = 422, 403, 404


def apply(repository: ProtectedRepository, wanted: Protection) -> list[str]:
    """Set the rules. Safe to repeat. Returns one line for each thing that was done, or that the plan does not have.

    Raises:
        ProtectionError: GitHub refused something else.
    """
    done = [_apply_environment(repository, wanted)]
    policies = f"/environments/{wanted.environment}/deployment-branch-policies"
    for policy in list(repository.pages(policies, "branch_policies")):
        if (policy["name"], policy.get("type", "branch")) != (wanted.tags, "tag"):
            repository.request("DELETE", f"{policies}/{policy['id']}")
            done.append(f"{wanted.environment}: {policy['name']} may no longer deploy.")
    if not any(policy["name"] == wanted.tags for policy in repository.pages(policies, "branch_policies")):
        repository.request("POST", policies, {"name": wanted.tags, "type": "tag"})
        done.append(f"{wanted.environment}: only tags {wanted.tags} may deploy.")
    present = {each["name"]: each["id"] for each in _own_rulesets(repository)}
    for ruleset in rulesets(wanted):
        known = present.get(ruleset["name"])
        method, path = ("PUT", f"/rulesets/{known}") if known else ("POST", "/rulesets")
        repository.request(method, path, ruleset)
        done.append(f"ruleset {ruleset['name']!r}: {'updated' if known else 'made'}.")
    return done


def _apply_environment(repository: ProtectedRepository, wanted: Protection) -> str:
    path = f"/environments/{wanted.environment}"
    # Fields of rules that the plan does not have are refused even if they are empty, so they are sent only when asked for.
    plain = {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}}
    if not wanted.reviewers:
        repository.request("PUT", path, plain)
        return f"{wanted.environment}: made, or kept, without reviewers."
    people = [_reviewer(repository, name) for name in wanted.reviewers]
    try:
        repository.request("PUT", path, plain | {"reviewers": people, "prevent_self_review": True})
    except RefusedError as error:
        if error.status != _UNPROCESSABLE or _NO_PLAN not in error.said:
            raise
        repository.request("PUT", path, plain)
        return (
            f"{wanted.environment}: NO REVIEWERS. Private repositories have required reviewers on GitHub Enterprise only. Empty "
            "`reviewers` in protection.toml; then the maker of a release's tag deploys without a second person."
        )
    return f"{wanted.environment}: deployments wait for one of {', '.join(wanted.reviewers)}."


def _reviewer(repository: ProtectedRepository, name: str) -> dict[str, Any]:
    organization, _, team = name.rpartition("/")
    kind, place = ("Team", f"//orgs/{organization}/teams/{team}") if organization else ("User", f"//users/{name}")
    return {"type": kind, "id": repository.request("GET", place)["id"]}


def _own_rulesets(repository: ProtectedRepository) -> list[Any]:
    return list(repository.pages("/rulesets?includes_parents=false"))


def differences(repository: ProtectedRepository, wanted: Protection) -> tuple[list[str], list[str]]:
    """The differences between GitHub's rules and the wanted ones, and the remarks about what the token could not see.

    Raises:
        ProtectionError: a setting cannot be read.
    """
    found = _environment_differences(repository, wanted)
    remarks: list[str] = []
    present = {each["name"]: each["id"] for each in _own_rulesets(repository)}
    for ruleset in rulesets(wanted):
        name = ruleset["name"]
        if name not in present:
            found.append(f"ruleset {name!r} is not there.")
            continue
        actual = repository.request("GET", f"/rulesets/{present[name]}")
        found += [f"ruleset {name!r}: {each}" for each in compared(ruleset, actual)]
        if "bypass_actors" not in actual:
            remarks.append(f"ruleset {name!r}: this token cannot see who may bypass it; an administrator's can.")
    return found, remarks


def _environment_differences(repository: ProtectedRepository, wanted: Protection) -> list[str]:
    name = wanted.environment
    path = f"/environments/{name}"
    actual = repository.request("GET", path)
    if not (actual.get("deployment_branch_policy") or {}).get("custom_branch_policies"):
        return [f"{name}: every branch may deploy, or every protected one. Only tags {wanted.tags} should."]
    policies = repository.pages(f"{path}/deployment-branch-policies", "branch_policies")
    allowed = sorted(f"{each.get('type', 'branch')} {each['name']}" for each in policies)
    found = [] if allowed == [f"tag {wanted.tags}"] else [f"{name}: {allowed} may deploy; wanted is tag {wanted.tags}."]
    approvers = {
        each["reviewer"].get("login") or each["reviewer"].get("slug")
        for rule in actual.get("protection_rules", ())
        if rule["type"] == "required_reviewers"
        for each in rule["reviewers"]
    }
    if approvers != {reviewer.rpartition("/")[2] for reviewer in wanted.reviewers}:
        found.append(f"{name}: its reviewers are {sorted(approvers)}; wanted are {sorted(wanted.reviewers)}.")
    return found


def _explained(error: RefusedError, command: str) -> str:
    if error.status == _FORBIDDEN and _NO_RULESETS in error.said:
        return f"{error} This plan has no rulesets for private repositories: without them any writer may move a release's tag."
    if error.status in (_FORBIDDEN, _NOT_FOUND):
        needed = "Administration: write" if command == "apply" else "actions: read"
        return (
            f"{error} It does not exist (run `protection.py apply`), or the token lacks the right: it needs {needed}."
        )
    return str(error)


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run `apply` or `check`. Returns 0, or 1 for a difference or a refusal."""
    if list(arguments) not in (["apply"], ["check"]):
        print("protection.py apply | check", file=sys.stderr)
        return 64
    (command,) = arguments
    try:
        api = environ.get("GITHUB_API_URL", "https://api.github.com")
        repository = ProtectedRepository(api, environ["GITHUB_REPOSITORY"], environ["GITHUB_TOKEN"])
        wanted = load()
        if command == "apply":
            print("\n".join(apply(repository, wanted)))
            return 0
        found, remarks = differences(repository, wanted)
    except RefusedError as error:
        print(_explained(error, command), file=sys.stderr)
        return 1
    except ProtectionError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"{error} is not set.", file=sys.stderr)
        return 1
    print("\n".join([*found, *remarks] or ["GitHub's rules are those of protection.toml."]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
