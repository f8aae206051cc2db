"""Resolves the packages of a checkout, without running any of their code, and says why they cannot be resolved."""

from __future__ import annotations

import re
from pathlib import Path

from retrain.adoption.observation import Observation, stops, surprises
from retrain.adoption.packages import TOPIC, Chosen
from retrain.doctor.finding import without_advice
from retrain.errors import EnvironmentBuildError, EnvironmentDefinitionError
from retrain.work.environments import frozen, resolution, uv

_SECONDS = 90.0
_ONE_SECONDS = 20.0
_PYTHONS = ("3.9", "3.8", "3.7", "3.13")  # one start of uv each
_NO_WHEEL = re.compile(r"\b([\w.-]+(?:\[[\w,.-]+\])?==[\w.+!]+) has no usable wheels")
_BUILDS = re.compile(r"building (?:from source|source distributions) is disabled", re.IGNORECASE)
_NO_TAG = "no wheels with a matching Python"


def resolve(checkout: Path, chosen: Chosen) -> tuple[str, list[Observation]]:
    """The frozen text, empty if there is none, and why there is none."""
    try:
        return resolution.of_wheels(checkout / chosen.folder, _SECONDS), []
    except EnvironmentDefinitionError as error:
        return "", [_why(chosen, str(error))]
    except EnvironmentBuildError as error:
        why = _short(without_advice(str(error)))
        return "", [
            stops(
                TOPIC,
                chosen.path,
                f"the packages could not be resolved: {why}",
                "make the package index reachable from here, then check again.",
            )
        ]


def _why(chosen: Chosen, message: str) -> Observation:
    reason = message.removesuffix(uv.FIX).strip()
    if found := _NO_WHEEL.search(reason):
        package = found[1]
        for python in _PYTHONS:
            if resolution.has_wheel(package, python, _ONE_SECONDS):
                return stops(
                    TOPIC, chosen.path, f"{package} has wheels for Python {python} and none for {frozen.RUNNING}, which a run has; it would "
                    "have to be built from source.",
                    f"use a version that has wheels for {frozen.RUNNING}. A Python of its own for a pipeline is not supported yet.",
                )  # fmt: skip
        return surprises(
            TOPIC, chosen.path, f"{package} has no wheel at all, and check runs no code of packages: whether the packages can be resolved is not "
            "known. A run builds it from source.",
            "try uv pip compile on it yourself, or use a version with wheels.",
        )  # fmt: skip
    if _BUILDS.search(reason) and _NO_TAG not in reason:
        return surprises(
            TOPIC, chosen.path, f"only code of the project or of a package can say what it needs, and check runs none: {_short(reason)}",
            "write the dependencies into [project] of pyproject.toml, or commit a requirements.txt or a uv.lock.",
        )  # fmt: skip
    return stops(TOPIC, chosen.path, _short(reason), _fix(chosen, reason))


def _fix(chosen: Chosen, reason: str) -> str:
    if "is a local path" in reason:
        return (
            "take the line out: the project is not installed for a run. If stages import its package, write PYTHONPATH=. before python in "
            "their commands."
        )
    if "lockfile" in reason and "needs to be updated" in reason:
        return "run uv lock, and commit uv.lock."
    if "requires-python" in reason or "does not satisfy Python" in reason:
        return (
            f"allow Python {frozen.RUNNING}, after trying it; a Python of its own for a pipeline is not supported yet."
        )
    if _NO_TAG in reason:
        return f"use a version that has wheels for Python {frozen.RUNNING}. A Python of its own for a pipeline is not supported yet."
    return f"correct {chosen.path}, so that uv pip compile resolves it."


def _short(reason: str) -> str:
    reason = reason.partition(" The environment's identity would not cover")[0]
    return re.sub(r"^The release's environment cannot be resolved from [^:]*: ", "", reason)
