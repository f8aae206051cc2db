"""Whether Python finds the repository's own modules in a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrain.adoption import python_code
from retrain.adoption.observation import Observation, listed, noted, stops
from retrain.adoption.pipeline_code import PipelineCode

TOPIC = "imports"
_DEFINITIONS = ("pyproject.toml", "setup.cfg", "setup.py")


def observations(code: PipelineCode) -> Iterator[Observation]:
    """Which imports of the repository's own modules need an installation, and which files are no Python 3?"""
    needed = needed_folders(code)
    for folder, uses in _lost(code).items():
        modules, files, stages = (listed(each[part] for each in uses) for part in range(3))
        how = (
            f"env in the proposed file sets PYTHONPATH to {folder}."
            if folder in needed
            else "a run has the project's folder behind all packages on Python's path, as after pip install -e."
        )
        yield noted(TOPIC, files, f"imports {modules} from {folder}/ (stage {stages}): {how}")
    for each in code.running:
        for _, own in each.programs:
            for file in own.files:
                if broken := python_code.read(code.snapshot.texts[file]).broken:
                    yield stops(
                        TOPIC, file, f"is no Python 3 ({broken}); stage {each.stage.name} uses it.", "correct it."
                    )
    if any("PYTHONPATH=" in text for each in code.stages for text in each.stage.cmd):
        yield noted(TOPIC, "dvc.yaml", "commands set PYTHONPATH themselves, which works.")


def needed_folders(code: PipelineCode) -> list[str]:
    """The folders with modules of the repository that Python finds only by PYTHONPATH: a run adds the top, and a project's src/."""
    added = {".", "src"} if _has_src(code) else {"."}
    return sorted(set(_lost(code)) - added)


def _has_src(code: PipelineCode) -> bool:
    """True if a definition of the project names src/, as `run_environment.import_folders` reads it."""
    return any(re.search(r"\bsrc\b", code.snapshot.texts.get(name, "")) for name in _DEFINITIONS)


def _lost(code: PipelineCode) -> dict[str, list[tuple[str, str, str]]]:
    """By folder: each module that a program needs and does not find beside itself, the file that imports it, and the stage."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for each in code.running:
        for _, own in each.programs:
            for module, file in own.lost.items():
                folder = next((place for place in (".", "src", "lib") if _is_in(module, place, code)), ".")
                found.setdefault(folder, []).append((module, file, each.stage.name))
    return found


def _is_in(module: str, folder: str, code: PipelineCode) -> bool:
    path = module if folder == "." else f"{folder}/{module}"
    return code.snapshot.has(path) or f"{path}.py" in code.snapshot.paths
