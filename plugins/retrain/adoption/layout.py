"""Where the project lies in the repository, and what a clone of it lacks: submodules, files in Git LFS, composed params."""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode, touches
from retrain.adoption.snapshot import Snapshot, is_pointer
from retrain.work.dvc.declared import Stage

TOPIC = "layout"


def folders(snapshot: Snapshot) -> Iterator[Observation]:
    """Is there a dvc.yaml at the top, and only there?"""
    files = snapshot.named("dvc.yaml")
    if "dvc.yaml" in files:
        return
    where = sorted({path.rpartition("/")[0] for path in files})
    yield stops(
        TOPIC,
        f"{where[0]}/dvc.yaml",
        f"the pipeline is in {listed(f'{folder}/' for folder in where)}, and a run takes the dvc.yaml at the top.",
        "a folder of a repository is not supported yet. Write a dvc.yaml at the top whose stages have this folder as wdir, or "
        "release the folder from a repository of its own.",
    )


def several_files(code: PipelineCode) -> Iterator[Observation]:
    """Which stages of other dvc.yaml files does a run leave out?"""
    if "dvc.yaml" not in code.snapshot.paths:
        return
    if not any(stage.reached for stage in code.described.stages):
        yield stops(TOPIC, "dvc.yaml", "has no stage, so a run would do nothing.", "add one with dvc stage add.")
    left = [stage for stage in code.described.stages if not stage.reached]
    for file in sorted({stage.file for stage in left}):
        names = [stage.name.rpartition(":")[2] for stage in left if stage.file == file]
        yield surprises(
            TOPIC,
            file,
            f"a run takes the top dvc.yaml and the stages that it needs; {listed(names)} would not run.",
            "make a stage of the top dvc.yaml depend on their outputs, or move them there. Several files are not supported yet.",
        )
    if {each.stage.file for each in code.stages} - {"dvc.yaml"}:
        yield noted(TOPIC, "dvc.yaml", "stages of other dvc.yaml files run too, because stages here need them.")


def submodules(code: PipelineCode) -> Iterator[Observation]:
    """Does a stage need a submodule, which a run does not fetch?"""
    for path in code.snapshot.submodules:
        users = [each.stage.name for each in code.stages if _uses(each.stage, path)]
        if users:
            yield stops(
                TOPIC, path, f"is a submodule, which is not fetched, and stage {listed(users)} needs it.",
                "commit its files to this repository, or install its code as a package. Submodules are not supported yet.",
            )  # fmt: skip
        else:
            yield surprises(
                TOPIC, path, "is a submodule: its folder is empty in a run.", "commit its files if a stage reads them."
            )


def large_files(code: PipelineCode, laid: Sequence[str]) -> Iterator[Observation]:
    """Does a stage need a file in Git LFS, which stays a pointer? `laid` are the paths of the proposed inputs."""
    for path, text in sorted(code.snapshot.texts.items()):
        if not is_pointer(text):
            continue
        users = [each.stage.name for each in code.stages if _uses(each.stage, path)]
        if any(touches(path, place) for place in laid):
            yield noted(TOPIC, path, "is in Git LFS; the day's data is laid in place of it.")
        elif users:
            yield stops(
                TOPIC, path, f"is in Git LFS, so a run finds a pointer of three lines, and stage {listed(users)} reads it.",
                f"let the day's data replace it with inputs (path: {path}), or commit the file itself.",
            )  # fmt: skip
        else:
            yield surprises(
                TOPIC,
                path,
                "is in Git LFS: a run finds a pointer of three lines.",
                "commit the file itself if a stage reads it.",
            )


def hydra(snapshot: Snapshot) -> Iterator[Observation]:
    """Does the repository expect that DVC composes its params with Hydra?"""
    if not hydra_enabled(snapshot):
        return
    if "params.yaml" in snapshot.paths:
        yield surprises(
            TOPIC, ".dvc/config", "turns Hydra on, and only dvc exp run composes params.yaml: a run takes the committed one as it is.",
            "compose params.yaml before each release and commit it.",
        )  # fmt: skip
    else:
        yield stops(
            TOPIC, ".dvc/config", "turns Hydra on, params.yaml is not committed, and dvc repro does not compose it.",
            "commit the composed params.yaml.",
        )  # fmt: skip


def hydra_enabled(snapshot: Snapshot) -> bool:
    """True if .dvc/config turns Hydra on."""
    section = dvc_config(snapshot).get("hydra", {})
    return section.get("enabled", "").strip().lower() == "true"


def dvc_config(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """The sections of .dvc/config; empty if it is broken, which DVC reports itself."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(snapshot.texts.get(".dvc/config", ""))
    except configparser.Error:
        return {}
    return {name.strip("'"): dict(parser[name]) for name in parser.sections()}


def _uses(stage: Stage, path: str) -> bool:
    in_command = any(word.startswith(f"{path}/") or word == path for text in stage.cmd for word in text.split())
    return in_command or any(touches(dep, path) for dep in stage.deps)
