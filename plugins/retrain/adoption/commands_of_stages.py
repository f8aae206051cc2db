"""The commands of the stages: paths that exist only elsewhere, the shell, Git and DVC within a stage, stages that deliver."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrain.adoption import python_code, shell, stage_code
from retrain.adoption.observation import Observation, stops, surprises
from retrain.adoption.own_programs import own_programs
from retrain.adoption.pipeline_code import PipelineCode, StageCode, touches
from retrain.adoption.shell import SimpleCommand
from retrain.inputs import stage_programs
from retrain.work.dvc.declared import Stage

TOPIC = "commands"
_ABSOLUTE = re.compile(
    r"(?:^|[\s=:'\"])(/(?:home|Users|root|mnt|media|data|workspace|workspaces|content|app|opt|srv|Volumes)/[\w./-]+)"
)
_WINDOWS = re.compile(r"(?:^|[\s='\"])([A-Za-z]:[\\/][\w.\\/-]+)")
_BACKSLASH = re.compile(r"[\w.]+\\[\w.\\-]+")
_VENV = re.compile(r"(?:^|\s)(?:\./)?((?:\.?venv|env|\.env)/bin/[\w.-]+)")
_SHOWN = 60  # characters of a command
_DELIVERS = re.compile(r"deploy|upload|publish|release|notify|promote|serve|push(?![a-z])", re.IGNORECASE)
_CHECKS = re.compile(r"\b(?:lint|flake8|ruff|pylint|black|isort|mypy|pytest|tests?|pre-commit)\b", re.IGNORECASE)
_SENDS = re.compile(
    r"\b(?:docker\s+push|aws\s+s3\s+(?:cp|sync|mv)|gsutil\s+(?:cp|rsync)|twine\s+upload|kubectl|helm|scp|rsync|cml)\b"
)


def observations(code: PipelineCode) -> Iterator[Observation]:
    """What of the commands does not work in a run, or does more than compute?"""
    for each in code.running:
        where = f"stage {each.stage.name}"
        for text in each.stage.cmd:
            yield from _paths(where, text)
            for command in shell.commands(text):
                yield from _file(each, command, code)
                yield from _tool(where, command)
            yield from _errors_lost(where, text)
        yield from _purpose(each)


def _paths(where: str, text: str) -> Iterator[Observation]:
    fix = "use a path relative to the repository."
    for form in (_ABSOLUTE, _WINDOWS):
        for path in dict.fromkeys(form.findall(text)):
            yield stops(TOPIC, where, f"the command names {path}, which is a path of one machine.", fix)
    if not _WINDOWS.search(text) and (found := _BACKSLASH.search(text)):
        yield stops(TOPIC, where, f"the command has {found[0]}: bash drops the backslash.", "write / in paths.")
    if found := _VENV.search(text):
        yield stops(
            TOPIC, where, f"the command starts {found[1]}, and a run has no such folder.",
            "write python: the release's environment is first on the PATH.",
        )  # fmt: skip


def _file(each: StageCode, command: SimpleCommand, code: PipelineCode) -> Iterator[Observation]:
    """Is the program that a command starts, or the script of its first argument, in the commit?"""
    words = (
        [word for word in command.words[1:] if not word.startswith("-")] if _runs_files(command) else command.words[:1]
    )
    if not words or "$" in words[0] or "-c" in command.words[1:2] or "-m" in command.words[1:3]:
        return
    named = words[0]
    if command.is_python and not named.endswith(".py"):
        return
    if not _runs_files(command) and "/" not in named:
        return
    if named.startswith(("/", "~")) or "\\" in named:
        return
    path = stage_code.joined(each.stage.wdir, named)
    if (
        not code.snapshot.has(path)
        and not any(touches(path, out) for out in code.produced)
        and not _VENV.search(f" {named}")
    ):
        yield stops(
            TOPIC,
            f"stage {each.stage.name}",
            f"starts {path}, which is not in the commit.",
            "commit it, or correct the command.",
        )


def _runs_files(command: SimpleCommand) -> bool:
    return command.is_python or command.program in ("bash", "sh", "Rscript", "node")


def _tool(where: str, command: SimpleCommand) -> Iterator[Observation]:
    words = " ".join(command.words)
    if command.program == "git":
        effect = surprises if re.match(r"git (log|rev-parse|describe|status|diff|show)\b", words) else stops
        yield effect(
            TOPIC, where, f"runs {_start(words)}: a run is a checkout without branch, user and credentials, and nothing may write to the origin.",
            "do it outside of the pipeline; the commit of a run is in run.yaml.",
        )  # fmt: skip
    elif command.program == "dvc" or (command.is_python and command.words[1:3] == ("-m", "dvc")):
        yield stops(
            TOPIC, where, f"runs {_start(words)} within a stage: DVC holds a lock while a stage runs, and has no remote of the team's.",
            "remove it: inputs lays data, and the outputs are pushed and proven after the stages.",
        )  # fmt: skip
    elif words.startswith(
        (
            "mlflow server",
            "mlflow ui",
            "tensorboard",
            "streamlit run",
            "uvicorn",
            "flask run",
            "gunicorn",
            "jupyter lab",
        )
    ):
        yield stops(
            TOPIC, where, f"runs {_start(words)}, a server that does not end.", "remove the stage from dvc.yaml."
        )
    elif command.program in ("poetry", "pipenv", "conda", "mamba", "pixi", "hatch", "pdm", "uv", "tox", "nox"):
        yield stops(
            TOPIC, where, f"runs {_start(words)}: a run has one environment, which is first on the PATH, and no {command.program} project.",
            f"write the command without {command.program}.",
        )  # fmt: skip
    elif command.program in ("docker", "docker-compose", "podman", "singularity", "apptainer"):
        yield surprises(
            TOPIC,
            where,
            f"runs {_start(words)}: the workers need a container engine, and DVC does not see when an image changes.",
            "name the queue of workers with one under queue in the pipeline's file, and the image by its digest.",
        )
    elif command.program == "make":
        yield surprises(
            TOPIC,
            where,
            f"runs {_start(words)}: DVC sees neither the Makefile's other commands nor what they read.",
            "write the commands themselves into dvc.yaml, with their deps.",
        )
    elif words.startswith(("pip install", "python -m pip install", "pip3 install", "conda install")):
        yield stops(
            TOPIC,
            where,
            f"runs {_start(words)}: the environment is shared by runs and has no pip.",
            "name the packages in the environment's file.",
        )


def _start(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def _errors_lost(where: str, text: str) -> Iterator[Observation]:
    commands = shell.commands(text)
    if len(commands) > 1 and any(each.after in (";", "|") for each in commands[1:]):
        yield surprises(
            TOPIC,
            where,
            "commands are joined by ; or |, so that a failure of the first one is not seen.",
            "join them by &&, or write a list of commands.",
        )
    if any(each.after == "||" for each in commands):
        yield surprises(TOPIC, where, "|| hides a failure of the command before it.", "let the stage fail.")


def delivers(stage: Stage) -> str | None:
    """Why a stage seems to send something away; None if it does not."""
    if sends := _SENDS.search(" ".join(stage.cmd)):
        return f"runs {sends[0]}: it would deliver something every day."
    if _DELIVERS.search(stage.name.rpartition(":")[2]):
        return "seems to deliver something, every day, before anything is proven or promoted."
    return None


def _purpose(each: StageCode) -> Iterator[Observation]:
    stage = each.stage
    if why := delivers(stage):
        yield surprises(
            TOPIC,
            f"stage {stage.name}",
            why,
            "leave it out with targets in the pipeline's file, which WRITE=<name> proposes if it can.",
        )
    elif _CHECKS.search(stage.name) and not stage.outs:
        yield surprises(
            TOPIC,
            f"stage {stage.name}",
            "seems to check code: a finding would stop the day's model.",
            "run it in CI, and name the stages that a run needs under targets in the pipeline's file.",
        )


def programs(code: PipelineCode, installed: frozenset[str]) -> dict[str, tuple[str, str]]:
    """The programs that the stages start: name -> where, and `command` if a run without it is refused, else `script`.

    `installed` are the names of the environment's packages, which may bring programs of their own.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, stages in stage_programs.needed(each.stage for each in code.running).items():
        _take([name], f"stage {stages[0]}", "command", found)
    for each in code.running:
        for text in each.stage.cmd:
            _take(shell.programs(text), f"stage {each.stage.name}", "script", found)
        for script in stage_code.scripts(each.stage, code.snapshot):
            _take(shell.programs(code.snapshot.texts[script]), script, "script", found)
    there = own_programs(code.snapshot) | shell.BUILTINS
    return {name: place for name, place in found.items() if name not in there and not _comes_with(name, installed)}


def _take(names: list[str], where: str, kind: str, found: dict[str, tuple[str, str]]) -> None:
    for name in names:
        if "/" not in name and name[0] != "." and "=" not in name:
            found.setdefault(name, (where, kind))


def _comes_with(name: str, installed: frozenset[str]) -> bool:
    own = re.fullmatch(
        r"python(3(\.\d+)?)?|pip3?|dvc|git|poetry|pipenv|conda|mamba|pixi|hatch|pdm|uv|tox|nox|papermill|jupyter|ipython",
        name,
    )
    return bool(own) or re.sub(r"[-_.]+", "-", name).lower() in installed


def absent_programs(found: dict[str, tuple[str, str]], absent: frozenset[str]) -> Iterator[Observation]:
    """Which of the programs does this machine lack?"""
    for name in sorted(set(found) & absent):
        where, kind = found[name]
        effect = stops if kind == "command" else surprises
        yield effect(
            "programs", where, f"starts {name}, which this machine lacks.",
            f"install {name} on the machine or image of the workers, or name the queue of workers that have it under queue in the pipeline's file.",
        )  # fmt: skip


def absolute_paths(code: PipelineCode) -> Iterator[Observation]:
    """Does the code of a stage open absolute paths of the author's disk?"""
    for each in code.running:
        for file in each.files:
            for text in python_code.read(code.snapshot.texts[file]).texts:
                found = re.fullmatch(r"(/(?:home|Users)/[\w. /-]+|[A-Za-z]:\\[\w.\\ -]+)", text)
                if found:
                    yield stops(
                        TOPIC,
                        file,
                        f"names {found[0]}, a path of one machine; stage {each.stage.name} uses it.",
                        "use a path relative to the repository.",
                    )
