"""The rules around a release that protection.toml asks for, and how GitHub's differ from them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protected_repository import ProtectionError

_FILE = Path(__file__).with_name("protection.toml")
_ROLES = {"maintain": 2, "admin": 5}  # the ids of GitHub's own repository roles


@dataclass(frozen=True)
class Protection:
    """The wanted rules: protection.toml."""

    environment: str
    tags: str
    tag_makers: Sequence[str]
    approvals: int
    reviewers: Sequence[str]
    checks: Sequence[str]


def load(path: Path = _FILE) -> Protection:
    """Read protection.toml.

    Raises:
        ProtectionError: the file cannot be read, or a key is missing, unknown or wrong.
    """
    try:
        protection = Protection(**tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise ProtectionError(f"{path.name} cannot be read ({error}). Correct it.") from error
    if unknown := set(protection.tag_makers) - set(_ROLES):
        raise ProtectionError(f"{path.name}: tag_makers has {sorted(unknown)}. GitHub's roles are {sorted(_ROLES)}.")
    return protection


def rulesets(wanted: Protection) -> list[dict[str, Any]]:
    """The wanted rulesets, as GitHub's API takes them.

    Tags have two: a bypass covers all rules of a ruleset, and nobody may move a release's tag.
    """
    tags = {"ref_name": {"include": [f"refs/tags/{wanted.tags}"], "exclude": []}}
    main = {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}}
    makers = [
        {"actor_id": _ROLES[role], "actor_type": "RepositoryRole", "bypass_mode": "always"}
        for role in wanted.tag_makers
    ]
    review = {
        "required_approving_review_count": wanted.approvals,
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": False,
        "require_last_push_approval": wanted.approvals > 0,
        "required_review_thread_resolution": False,
    }
    checks = {
        "strict_required_status_checks_policy": False,
        "required_status_checks": [{"context": name} for name in wanted.checks],
    }
    described: list[tuple[str, str, object, list[Any], list[Any]]] = [
        ("release tags never move", "tag", tags, [], [{"type": "update"}, {"type": "deletion"}]),
        ("release tags are made by few", "tag", tags, makers, [{"type": "creation"}]),
        (
            "main takes pull requests",
            "branch",
            main,
            [],
            [
                {"type": "deletion"},
                {"type": "non_fast_forward"},
                {"type": "pull_request", "parameters": review},
                {"type": "required_status_checks", "parameters": checks},
            ],
        ),
    ]
    return [
        {
            "name": name,
            "target": target,
            "enforcement": "active",
            "conditions": conditions,
            "bypass_actors": bypass,
            "rules": rules,
        }
        for name, target, conditions, bypass, rules in described
    ]


def compared(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    """The parts of a wanted ruleset that the actual one lacks. More rules, and parameters that are not asked for, are no difference."""
    found = [
        f"{part} is {actual.get(part)!r}; wanted is {wanted[part]!r}."
        for part in ("target", "enforcement", "conditions")
        if actual.get(part) != wanted[part]
    ]
    if "bypass_actors" in actual:
        wanted_actors, actors = (
            {(a["actor_type"], a["actor_id"]) for a in each["bypass_actors"]} for each in (wanted, actual)
        )
        found += [
            f"{kind} {number} may bypass it, which is not wanted." for kind, number in sorted(actors - wanted_actors)
        ]
        found += [f"{kind} {number} may not bypass it." for kind, number in sorted(wanted_actors - actors)]
    rules = {rule["type"]: rule.get("parameters") or {} for rule in actual.get("rules", ())}
    for rule in wanted["rules"]:
        kind = rule["type"]
        if kind not in rules:
            found.append(f"the rule {kind} is missing.")
            continue
        for name, value in rule.get("parameters", {}).items():
            if _plain(rules[kind].get(name)) != _plain(value):
                found.append(f"{kind}: {name} is {_plain(rules[kind].get(name))}; wanted is {_plain(value)}.")
    return found


def _plain(value: Any) -> Any:
    """A list of checks as their names: GitHub adds the app that reports a check, and may change the order."""
    return sorted(each["context"] for each in value) if isinstance(value, list) else value
