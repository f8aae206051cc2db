"""GitHub's REST API of one repository's rules: it answers and refuses as GitHub does, by the token's rights and the plan."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "example/trip-duration"
ADMIN, WORKFLOW, STRANGER = "ghp_administrator", "ghs_workflow", "ghs_stranger"
REVIEWERS = {
    "/users/ada": {"login": "ada", "id": 7},
    "/orgs/example/teams/platform": {"slug": "platform", "id": 8},
}
NOT_FOUND = (404, {"message": "Not Found"})
NO_RIGHT = (403, {"message": "Resource not accessible by integration"})
NO_REVIEWERS = (
    "Failed to create the environment protection rule. "
    "Please ensure the billing plan supports the required reviewers protection rule."
)
NO_RULESETS = "Upgrade to GitHub Pro or make this repository public to enable this feature."


@dataclass
class RulesStandin:
    """A private repository on a plan: `free`, `team` or `enterprise`."""

    url: str = ""
    plan: str = "team"
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: list[dict[str, Any]] = field(default_factory=list)
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    number: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, token: str, method: str, address: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(address)
        if parts.path in REVIEWERS:
            return 200, REVIEWERS[parts.path]
        place = parts.path.removeprefix(f"/repos/{REPOSITORY}/").split("/")
        if token == STRANGER:
            return NOT_FOUND  # GitHub does not tell a stranger that a private repository exists
        if method != "GET" and token != ADMIN:
            return NO_RIGHT
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items() if values[0].isdigit()}
        if place[0] == "environments":
            return self.of_environment(method, place[1], place[2:], body, query)
        if place[0] == "rulesets":
            return self.of_rulesets(token, method, place[1:], body, query)
        return NOT_FOUND

    def of_environment(self, method: str, name: str, rest: list[str], body: Any, query: Any) -> tuple[int, Any]:
        if rest:
            return self.of_policies(method, name, rest[1:], body, query)
        if method == "GET":
            return (200, self.environments[name]) if name in self.environments else NOT_FOUND
        if self.plan != "enterprise" and {"reviewers", "prevent_self_review", "wait_timer"} & set(body):
            return 422, {"message": NO_REVIEWERS}
        branches = body.get("deployment_branch_policy")
        if branches and branches["protected_branches"] == branches["custom_branch_policies"]:
            return 422, {"message": "protected_branches and custom_branch_policies cannot have the same value"}
        rules = [
            {
                "type": "required_reviewers",
                "prevent_self_review": body["prevent_self_review"],
                "reviewers": [
                    {"type": each["type"], "reviewer": {"login": "ada"} if each["id"] == 7 else {"slug": "platform"}}
                    for each in body["reviewers"]
                ],
            }
            for _ in [body]
            if body.get("reviewers")
        ]
        self.environments[name] = {"name": name, "protection_rules": rules, "deployment_branch_policy": branches}
        return 200, self.environments[name]

    def of_policies(self, method: str, name: str, rest: list[str], body: Any, query: Any) -> tuple[int, Any]:
        branches = self.environments.get(name, {}).get("deployment_branch_policy") or {}
        if not branches.get("custom_branch_policies"):
            return NOT_FOUND
        if method == "GET":
            return 200, {"total_count": len(self.policies), "branch_policies": page(self.policies, query)}
        if method == "DELETE":
            self.policies = [each for each in self.policies if each["id"] != int(rest[0])]
            return 204, None
        self.policies.append({"id": next(self.number), "name": body["name"], "type": body.get("type", "branch")})
        return 200, self.policies[-1]

    def of_rulesets(self, token: str, method: str, rest: list[str], body: Any, query: Any) -> tuple[int, Any]:
        if self.plan == "free":
            return 403, {"message": NO_RULESETS}
        if method == "GET" and not rest:
            summaries = [{"id": n, "name": each["name"]} for n, each in self.rulesets.items()]
            return 200, page(summaries, query)
        number = int(rest[0]) if rest else next(self.number)
        if method == "GET":
            kept = self.rulesets[number]
            hidden = () if token == ADMIN else ("bypass_actors",)
            return 200, {name: value for name, value in kept.items() if name not in hidden}
        if method == "POST" and body["name"] in [each["name"] for each in self.rulesets.values()]:
            return 422, {"message": "Validation Failed", "errors": ["Name must be unique"]}
        kept = json.loads(json.dumps(body))
        for rule in kept["rules"]:  # GitHub adds the parameters that it knows and was not given
            if rule["type"] == "pull_request":
                rule["parameters"]["allowed_merge_methods"] = ["merge", "squash", "rebase"]
            if rule["type"] == "required_status_checks":
                checks = rule["parameters"]["required_status_checks"]
                rule["parameters"]["required_status_checks"] = [{**c, "integration_id": None} for c in reversed(checks)]
        self.rulesets[number] = {"id": number, "source_type": "Repository", **kept}
        return 201 if method == "POST" else 200, self.rulesets[number]


def page(entries: list[Any], query: dict[str, int]) -> list[Any]:
    size = min(query.get("per_page", 30), 100)
    first = (query.get("page", 1) - 1) * size
    return entries[first : first + size]
