"""The stages that gave other outputs in another attempt of the same run, and those among them that began it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

import yaml

from retrain.errors import RecordError
from retrain.inputs.stage_graph import StageGraph

Locks = Mapping[str, bytes]  # dvc.lock files by path


def differing(graph: StageGraph, before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """The stages of which an output is another one, or only in one of the two attempts.

    Args:
        graph: the stages.
        before: the MD5 of each output of the one attempt, by path.
        after: the same of the other.
    """
    return frozenset(
        name
        for name, stage in graph.stages.items()
        if any(before.get(out.path) != after.get(out.path) for out in stage.outs)
    )


def first_of(stages: frozenset[str], graph: StageGraph, before: Locks, after: Locks) -> frozenset[str]:
    """Those of the differing `stages` that did not get the difference from another one.

    Either their dvc.lock has the same command, dependencies and parameters in both attempts, or they need no other differing stage.

    Raises:
        RecordError: a dvc.lock cannot be read.
    """
    one, two = read_from(before), read_from(after)
    same_inputs = {name for name in stages if name in one and one[name] == two.get(name)}
    roots = {name for name in stages if not graph.needs[name] & stages}
    return frozenset(same_inputs | roots)


def other_inputs(stages: frozenset[str], graph: StageGraph, before: Locks, after: Locks) -> dict[str, str]:
    """Of each stage that began the difference, the first input that was another in the two attempts; none if all were the same.

    Such a stage may well repeat itself. An input by an address, outside of the checkout, does not count.

    Args:
        stages: those that `first_of` returned.
        graph: the stages.
        before: the dvc.lock files of the one attempt. A stage that they lack is not compared.
        after: the same of the other.

    Raises:
        RecordError: a dvc.lock cannot be read.
    """
    one, two = read_from(before), read_from(after)
    found = {}
    for stage in sorted(stages & graph.stages.keys() & one.keys() & two.keys()):
        names = sorted({*one[stage], *two[stage]})
        other = [name for name in names if one[stage].get(name) != two[stage].get(name) and "://" not in name]
        if other:
            found[stage] = other[0]
    return found


def read_from(locks: Locks) -> dict[str, dict[str, str]]:
    """What dvc.lock files say that each stage read: by the stage's address, then `cmd`, `deps <path>` and `params <file>`.

    A dependency has its MD5, or all that DVC knows of it.

    Raises:
        RecordError: a dvc.lock cannot be read.
    """
    found: dict[str, dict[str, str]] = {}
    for path, text in locks.items():
        folder = posixpath.dirname(path)
        try:
            for name, stage in ((yaml.safe_load(text) or {}).get("stages") or {}).items():
                found[f"{folder}/dvc.yaml:{name}" if folder else name] = _inputs(stage)
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise RecordError(
                f"The dvc.lock at {path} cannot be read ({' '.join(repr(error).split())}). If it is that of a ledger entry, check "
                "who may write to the ledger."
            ) from error
    return found


def _inputs(stage: Mapping[str, Any]) -> dict[str, str]:
    found = {"cmd": str(stage.get("cmd"))}
    for dep in stage.get("deps", ()):
        rest = {name: value for name, value in dep.items() if name != "path"}
        found[f"deps {dep['path']}"] = str(dep.get("md5") or rest)
    for file, values in stage.get("params", {}).items():
        found[f"params {file}"] = str(values)
    return found
