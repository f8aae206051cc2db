"""The environment variables that commands and code read. Names only: no value is read or shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrain.adoption import python_code, shell, stage_code
from retrain.adoption.observation import Observation, listed, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode

TOPIC = "variables"
# Set for every process of a stage, or by the shell.
_KNOWN = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "PWD",
        "OLDPWD",
        "LANG",
        "LC_ALL",
        "TZ",
        "SHELL",
        "HOSTNAME",
        "TMPDIR",
        "PYTHONUNBUFFERED",
        "OMP_NUM_THREADS",
        "RANDOM",
        "SECONDS",
    ]
)


def observations(code: PipelineCode) -> Iterator[Observation]:
    """Which variables do the stages read that a run does not set?"""
    needed, optional = read_by(code)
    fix = "give it a value under env in the pipeline's file, or one of an Airflow connection or Variable under secrets."
    for name, where in needed.items():
        yield stops(
            TOPIC, where, f"reads the variable {name}, which a run does not set, and has no default for it.", fix
        )
    if optional:
        where = next(iter(optional.values()))
        yield surprises(TOPIC, where, f"reads variables that a run does not set: {listed(optional, 8)}.", fix)
    for _, file, call in code.calls():
        if call.name.endswith("load_dotenv") and ".env" not in code.snapshot.paths:
            yield surprises(
                TOPIC, file, "loads .env, which is not in the commit: the code runs without its variables.", fix
            )


def read_by(code: PipelineCode) -> tuple[dict[str, str], dict[str, str]]:
    """The variables without a default, and those with one or of unknown use, each with the first place that reads it."""
    needed: dict[str, str] = {}
    optional: dict[str, str] = {}
    for each in code.running:
        for file in each.files:
            for name, required in (python_code.read(code.snapshot.texts[file]).variables or {}).items():
                (needed if required else optional).setdefault(name, file)
        texts = {f"stage {each.stage.name}": "\n".join(each.stage.cmd)}
        texts |= {script: code.snapshot.texts[script] for script in stage_code.scripts(each.stage, code.snapshot)}
        for where, text in texts.items():
            for name in shell.variables(text):
                optional.setdefault(name, where)
    ours = {name for name in {*needed, *optional} if name in _KNOWN or not re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}
    needed = {name: where for name, where in needed.items() if name not in ours}
    return needed, {name: where for name, where in optional.items() if name not in ours and name not in needed}
