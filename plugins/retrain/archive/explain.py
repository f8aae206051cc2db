"""Why two recorded days differ: code, environment, parameters, data, and what came of it. Pure; the documents come in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.work.environments import frozen


@dataclass(frozen=True)
class Change:
    """One thing that is not the same: its name, and its value on either side (None: not there)."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Explanation:
    """What is different from one run to the other, by kind; an empty list says that this kind explains nothing."""

    code: tuple[str, ...]
    environment: tuple[Change, ...]
    params: tuple[Change, ...]
    data: tuple[Change, ...]
    outputs: tuple[Change, ...]
    metrics: tuple[Change, ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """What two mappings do not share, by name."""
    names = sorted({*before, *after})
    return tuple(Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def packages(lock: str) -> dict[str, str]:
    """Package versions of a frozen text, and its Python's, or of a uv.lock as older deployments recorded it. A Git requirement's version is its address and commit."""
    if "[[package]]" in lock:
        pairs = [(one["name"], str(one.get("version", ""))) for one in tomllib.loads(lock).get("package", [])]
    else:
        pairs = [frozen.name_and_version(one) for one in frozen.requirements(lock)]
    found = {"python": frozen.python_of(lock)} if frozen.is_canonical(lock) else {}
    for name, version in pairs:
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def explain(
    runs: tuple[RunRecord, RunRecord],
    manifests: tuple[Manifest, Manifest],
    params: tuple[Mapping[str, Any], Mapping[str, Any]],
    locks: tuple[str, str],
    code: tuple[str, ...],
) -> Explanation:
    """Compare two runs. `code` are the files that Git says changed from the first commit to the second."""
    one, two = runs
    data = changes(*({o.key: f"{o.etag} ({o.size} bytes)" for o in m.objects} for m in manifests))
    # Always by the packages: before version 2 the same identity could hide others.
    environment = changes(*(packages(lock) for lock in locks))
    return Explanation(
        code, environment, changes(*params), data, changes(one.outputs, two.outputs), changes(one.metrics, two.metrics)
    )
