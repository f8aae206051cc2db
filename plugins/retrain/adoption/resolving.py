"""Resolves the packages of a checkout, without running any of their code, and says why they cannot be resolved."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from retrain.adoption.observation import Observation, stops, surprises
from retrain.adoption.packages import TOPIC, Chosen
from retrain.doctor.finding import without_advice
from retrain.errors import EnvironmentBuildError, EnvironmentDefinitionError
from retrain.work import commit_date
from retrain.work.environments import frozen, resolution, uv
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings
from retrain.work.environments.errors import LocalPathError, PythonMissingError, RequiredPythonError, StaleLockError

_SECONDS = 90.0
_ONE_SECONDS = 20.0
_OLDER = ("3.9", "3.8", "3.7")  # one start of uv each
_NO_WHEEL = re.compile(r"\b([\w.-]+(?:\[[\w,.-]+\])?==[\w.+!]+) has no usable wheels")
_BUILDS = re.compile(r"building (?:from source|source distributions) is disabled", re.IGNORECASE)
_NO_TAG = "no wheels with a matching Python"
_SUPPLY = "supply a requirements file beside the pipeline's file: packages: {lock: <name>.txt}"


@dataclass(frozen=True)
class ResolvedPackages:
    """The frozen text, empty if there is none, the Python that it is for, None for the deployment's own, and why there is no text."""

    text: str
    python: str | None
    why_not: tuple[Observation, ...] = ()


def resolve(checkout: Path, chosen: Chosen, python: str | None, available: Collection[str]) -> ResolvedPackages:
    """Resolve the packages for a Python; for another one of `available` if a package has wheels for that one only."""
    text, why = _resolve(checkout, chosen, python)
    if text or not (found := _NO_WHEEL.search(why.what if why else "")):
        return ResolvedPackages(text, python, (why,) if why else ())
    others = [version for version in available if version != (python or frozen.RUNNING)]
    for other in others:
        if resolution.has_wheel(found[1], other, _ONE_SECONDS) and (text := _resolve(checkout, chosen, other)[0]):
            told = surprises(
                TOPIC, chosen.path, f"{found[1]} has wheels for Python {other} and none for {python or frozen.RUNNING}, the deployment's own.",
                f'packages: {{python: "{other}"}} in the pipeline\'s file; WRITE=<name> proposes it.',
            )  # fmt: skip
            return ResolvedPackages(text, None if other == frozen.RUNNING else other, (told,))
    return ResolvedPackages("", python, (_without_wheel(chosen, found[1], python or frozen.RUNNING, others),))


def _resolve(checkout: Path, chosen: Chosen, python: str | None) -> tuple[str, Observation | None]:
    definition = EnvironmentDefinition(
        checkout, chosen.folder, PackageSettings(python=python), committed=commit_date.committed_at(checkout)
    )
    try:
        return resolution.of_wheels(definition, _SECONDS), None
    except (RequiredPythonError, PythonMissingError):
        return "", None  # the question about Python says it
    except EnvironmentDefinitionError as error:
        return "", _why(chosen, error)
    except EnvironmentBuildError as error:
        why = _short(without_advice(str(error)))
        fix = "make the package index reachable from here, then check again."
        return "", stops(TOPIC, chosen.path, f"the packages could not be resolved: {why}", fix)


def _without_wheel(chosen: Chosen, package: str, python: str, others: Collection[str]) -> Observation:
    for older in _OLDER:
        if resolution.has_wheel(package, older, _ONE_SECONDS):
            return stops(
                TOPIC, chosen.path, f"{package} has wheels for Python {older} and none for {', '.join((python, *others))}, which this machine has; it "
                "would have to be built from source.",
                f"use a version that has wheels for one of these, or {_SUPPLY}.",
            )  # fmt: skip
    return surprises(
        TOPIC, chosen.path, f"{package} has no wheel at all, and check runs no code of packages: whether the packages can be resolved is not "
        "known. A run builds it from source.",
        "try uv pip compile on it yourself, or use a version with wheels.",
    )  # fmt: skip


def _why(chosen: Chosen, error: EnvironmentDefinitionError) -> Observation:
    reason = str(error).removesuffix(uv.FIX).strip()
    if found := _NO_WHEEL.search(reason):
        return stops(TOPIC, chosen.path, found[0], _SUPPLY)
    if _BUILDS.search(reason) and _NO_TAG not in reason:
        return surprises(
            TOPIC, chosen.path, f"only code of the project or of a package can say what it needs, and check runs none: {_short(reason)}",
            "write the dependencies into [project] of pyproject.toml, or commit a requirements.txt or a uv.lock.",
        )  # fmt: skip
    return stops(TOPIC, chosen.path, _short(reason), _fix(chosen, error))


def _fix(chosen: Chosen, error: EnvironmentDefinitionError) -> str:
    reason = str(error)
    if isinstance(error, LocalPathError):
        return f"name the package by its version or by its Git address, or {_SUPPLY}."
    if isinstance(error, StaleLockError):
        return f"{_sentence(reason)}, or {_SUPPLY}."
    if "requires-python" in reason or "does not satisfy Python" in reason or _NO_TAG in reason:
        return f"try another Python: packages: {{python: ...}} in the pipeline's file, or {_SUPPLY}."
    return f"correct {chosen.path}, so that uv pip compile resolves it, or {_SUPPLY}."


def _sentence(reason: str) -> str:
    """What a lock's error says to do."""
    return "run " + reason.rpartition("Run ")[2].rstrip(".") if "Run " in reason else "make the lock again"


def _short(reason: str) -> str:
    reason = reason.partition(" In a new release")[0].partition(" Run ")[0]
    return re.sub(r"^The release's environment cannot be resolved from [^:]*: ", "", reason)
