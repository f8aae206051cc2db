"""Explaining why two recorded runs differ: by code, settings, environment, parameters, data, stages, outputs or metrics."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retrain.archive.stage_differences import Locks, read_from
from retrain.deployment.run_settings import RunSettings
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.work.environments import frozen


@dataclass(frozen=True)
class Change:
    """A name with different values in the two runs; None where a run does not have it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Explanation:
    """The differences between two runs, by kind; empty where they do not differ.

    `code` holds the paths of changed files. `settings` holds the keys of the pipeline's file that were recorded. `environment` holds
    versions by package, `params` values by `file:section.name`, `data` ETag and size by raw object. `stages` holds what each dvc.lock
    says that a stage read, by `<stage> cmd` and `<stage> deps <path>`; `outputs` MD5s by path.
    """

    code: tuple[str, ...]
    settings: tuple[Change, ...]
    environment: tuple[Change, ...]
    params: tuple[Change, ...]
    data: tuple[Change, ...]
    stages: tuple[Change, ...]
    outputs: tuple[Change, ...]
    metrics: tuple[Change, ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The names whose values differ between two mappings, sorted."""
    names = sorted({*before, *after})
    return tuple(Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def recorded_settings(settings: RunSettings) -> dict[str, Any]:
    """The single keys of a run's settings: `partition`, `inputs.<path>.names`, `params.<file>.<key>`, `env.<NAME>` and so on."""
    document = settings.model_dump(mode="json")
    inputs, params = document.pop("inputs"), document.pop("params")
    for section in ("packages", "env"):
        document |= {f"{section}.{name}": value for name, value in document.pop(section).items()}
    for entry in inputs:
        path = entry.pop("path")
        document |= {f"inputs.{path}.{name}": value for name, value in entry.items()}
    for file, values in params.items():
        document |= {f"params.{file}.{key}": value for key, value in values.items()}
    return document


def packages(lock: str) -> dict[str, str]:
    """The version of each package in a frozen environment, and of `python` if it is named.

    The version of a package from Git is its URL with the commit. Version 1 recorded a uv.lock instead, which is read too.
    """
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
    dvc_locks: tuple[Locks, Locks],
) -> Explanation:
    """Compare two runs.

    Args:
        runs: the records.
        manifests: the raw objects of each.
        params: the parameters of each, as `entry.params` returns them.
        locks: the environment of each, as `recorded_environment.packages` returns it.
        code: the files that changed between the two commits.
        dvc_locks: the dvc.lock files of each, as `recorded_locks.recorded` returns them.

    Raises:
        RecordError: a dvc.lock cannot be read.
    """
    one, two = runs
    settings = changes(*(recorded_settings(m.settings) for m in manifests))
    data = changes(*({o.key: f"{o.etag} ({o.size} bytes)" for o in m.objects} for m in manifests))
    # By the packages, not by identity: in version 1, environments with one identity could have different packages.
    environment = changes(*(packages(lock) for lock in locks))
    outputs, metrics = changes(one.outputs, two.outputs), changes(one.metrics, two.metrics)
    stages = changes(*({f"{s} {n}": v for s, n, v in _read_by_stages(each)} for each in dvc_locks))
    return Explanation(code, settings, environment, changes(*params), data, stages, outputs, metrics)


def _read_by_stages(locks: Locks) -> Iterator[tuple[str, str, str]]:
    """Command and dependencies of each stage. Its parameters are compared one by one elsewhere."""
    for stage, inputs in read_from(locks).items():
        for name, value in inputs.items():
            if not name.startswith("params "):
                yield stage, name, value
