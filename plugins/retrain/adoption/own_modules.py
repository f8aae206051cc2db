"""Whether Python finds the repository's own modules without an installation of the project."""

from __future__ import annotations

from collections.abc import Iterator

from retrain.adoption import python_code
from retrain.adoption.observation import Observation, listed, noted, stops
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.stage_code import Started

TOPIC = "imports"


def observations(code: PipelineCode) -> Iterator[Observation]:
    """Which imports of the repository's own modules would fail, and which files are no Python 3?"""
    yield from _lost(code)
    for each in code.running:
        for program, own in each.programs:
            for file in own.files:
                if broken := python_code.read(code.snapshot.texts[file]).broken:
                    yield stops(
                        TOPIC, file, f"is no Python 3 ({broken}); stage {each.stage.name} uses it.", "correct it."
                    )
            if program.module and not program.file and code.snapshot.has(_src_path(program.module)):
                yield stops(
                    TOPIC,
                    f"stage {each.stage.name}",
                    f"starts python -m {program.module}, which is in src/, and the project is not installed for a run.",
                    "write PYTHONPATH=src before python in the command.",
                )
    if any("PYTHONPATH=" in text for each in code.stages for text in each.stage.cmd):
        yield noted(TOPIC, "dvc.yaml", "commands set PYTHONPATH themselves, which works.")


def _lost(code: PipelineCode) -> Iterator[Observation]:
    users: dict[str, list[tuple[str, str, Started]]] = {}
    for each in code.running:
        for program, own in each.programs:
            for module, file in own.lost.items():
                users.setdefault(module, []).append((each.stage.name, file, program))
    for module, uses in users.items():
        _, file, program = uses[0]
        folder = "src" if _in_src(module, code) else "."
        yield stops(
            TOPIC,
            listed(file for _, file, _ in uses),
            f"imports {module}, which is in {folder}/; stage {listed(name for name, _, _ in uses)} starts Python with "
            f"{program.search[0]}/ on its path, and the project is not installed for a run.",
            f"write PYTHONPATH={folder} before python in the command, or start it as a module: {_as_module(program.file, folder)}.",
        )


def _in_src(module: str, code: PipelineCode) -> bool:
    return not (code.snapshot.has(module) or f"{module}.py" in code.snapshot.paths) and code.snapshot.has("src")


def _as_module(file: str, folder: str) -> str:
    inside = file.removeprefix(f"{folder}/") if folder != "." else file
    return f"python -m {inside.removesuffix('.py').replace('/', '.')}"


def _src_path(module: str) -> str:
    return f"src/{module.partition('.')[0]}"
