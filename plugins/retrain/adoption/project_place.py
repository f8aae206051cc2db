"""Where the DVC project lies in a repository: the keys `repository.folder` and `targets` that a run of it needs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.snapshot import Snapshot, is_vendored
from retrain.inputs.stage_graph import StageGraph
from retrain.work.dvc.description import Description

TOPIC = "layout"
_NAMEABLE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")  # in a pipeline's file


@dataclass(frozen=True)
class ProjectPlace:
    """`folder` and `targets` are keys of the pipeline's file. `root` is the top of the folder's DVC project in the repository.

    `others` are folders of other pipelines.
    """

    folder: str = "."
    root: str = "."
    targets: Literal["all"] | tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def in_project(self) -> str:
        """The folder below the top of its DVC project."""
        return posixpath.relpath(self.folder, self.root)


AT_THE_TOP = ProjectPlace()


def find(snapshot: Snapshot) -> ProjectPlace:
    """The place of the dvc.yaml at the top, else of the only project, else of the first of several."""
    files = [path for path in snapshot.named("dvc.yaml") if not is_vendored(path) and _NAMEABLE.fullmatch(path)]
    if "dvc.yaml" in files or not files:
        return AT_THE_TOP
    roots = {path.partition(".dvc/")[0].rstrip("/") or "." for path in snapshot.paths if _in_dvc(path)}
    projects: dict[str, list[str]] = {}
    for file in files:
        folder = posixpath.dirname(file)
        projects.setdefault(_root(folder, roots), []).append(folder)
    first = next(iter(projects))
    others = tuple(folder for root, folders in projects.items() if root != first for folder in folders)
    if len(projects[first]) == 1:
        folder = projects[first][0]
        return ProjectPlace(folder, first if first in roots else folder, (), others)
    return ProjectPlace(first, first, "all", others)


def of_one_pipeline(place: ProjectPlace, described: Description) -> ProjectPlace:
    """The place of the first of several pipelines that share nothing in one DVC project; the same place if all files are one pipeline."""
    if place.targets != "all":
        return place
    pipelines = _pipelines(described)
    if not pipelines[1:]:
        return place
    first, *rest = pipelines
    folders = [_folder_of(file, place) for group in rest for file in group]
    others = (*folders, *place.others)
    if len(first) > 1:
        return replace(place, targets=tuple(first), others=others)
    return ProjectPlace(_folder_of(first[0], place), place.root, (), others)


def _folder_of(file: str, place: ProjectPlace) -> str:
    """The folder of a file of the DVC project, from the top of the repository."""
    return posixpath.normpath(posixpath.join(place.root, posixpath.dirname(file)))


def _pipelines(described: Description) -> list[list[str]]:
    """The dvc.yaml files in groups, of which no stage needs a stage of another group; first those with a model, then with metrics."""
    graph = StageGraph.of(described)
    files = {name: stage.file for name, stage in graph.stages.items()}
    groups: list[set[str]] = []
    for name, needed in graph.needs.items():
        own = {files[name], *(files[other] for other in needed)}
        joined = [group for group in groups if group & own]
        groups = [*(group for group in groups if not group & own), own.union(*joined)]
    ordered = [sorted(group, key=lambda file: (file.count("/"), file)) for group in groups]
    results = (graph.makers(described.models), graph.makers(described.metrics))
    return sorted(
        ordered,
        key=lambda group: (
            *(not any(files[name] in group for name in makers) for makers in results),
            group[0].count("/"),
            group[0],
        ),
    )


def _in_dvc(path: str) -> bool:
    return path.startswith(".dvc/") or "/.dvc/" in path


def _root(folder: str, roots: set[str]) -> str:
    """The top of the project of a folder; without any .dvc, that of the repository."""
    inside = [folder]
    while inside[-1]:
        inside.append(posixpath.dirname(inside[-1]))
    return next((each or "." for each in inside if (each or ".") in roots), ".")


def observations(place: ProjectPlace) -> Iterator[Observation]:
    """Does a run need to be told where the pipeline is?"""
    if place.folder != ".":
        yield noted(
            TOPIC, f"{place.folder}/", "the pipeline is in this folder.",
            f"repository: {{folder: {place.folder}}} in the pipeline's file; WRITE=<name> proposes it.",
        )  # fmt: skip
    if place.targets == "all":
        yield noted(
            TOPIC, f"{place.folder}/" if place.folder != "." else "dvc.yaml", "several dvc.yaml files and none above them: a run takes all.",
            "targets: all in the pipeline's file, which WRITE=<name> proposes; or name files or stages there.",
        )  # fmt: skip
    for folder in place.others:
        yield surprises(
            TOPIC, f"{folder}/dvc.yaml", "is another pipeline, which a run of this one leaves alone.",
            f"give it a pipeline's file of its own, with repository: {{folder: {folder}}}.",
        )  # fmt: skip


def several_files(code: PipelineCode, place: ProjectPlace = AT_THE_TOP) -> Iterator[Observation]:
    """Which stages of other dvc.yaml files does a run leave out?"""
    if not any(stage.reached for stage in code.described.stages):
        yield stops(TOPIC, "dvc.yaml", "has no stage, so a run would do nothing.", "add one with dvc stage add.")
    own = (stage for stage in code.described.stages if not stage.reached)
    left = [each for each in own if _folder_of(each.file, place) not in place.others]
    for file in sorted({stage.file for stage in left}):
        names = [stage.name.rpartition(":")[2] for stage in left if stage.file == file]
        yield surprises(
            TOPIC,
            file,
            f"a run without targets takes one dvc.yaml and the stages that it needs; {listed(names)} would not run.",
            "if they should, write targets: all in the pipeline's file, or name files or stages there.",
        )
    if len({each.stage.file for each in code.stages}) > 1:
        yield noted(TOPIC, "dvc.yaml", "stages of several dvc.yaml files run; each dvc.lock is proven and recorded.")


def locks(code: PipelineCode) -> Iterator[Observation]:
    """What becomes of the committed dvc.lock files?"""
    for lock in code.described.locks:
        yield noted("dvc.lock", lock.file, f"{lock.ignored}.")
    if any(posixpath.basename(path) == "dvc.lock" for path in code.snapshot.paths):
        yield noted(
            "dvc.lock", "dvc.lock", "A run does not use a committed file, save for frozen stages: it writes its own."
        )


def hydra(composed: str | None, refused: str | None) -> Iterator[Observation]:
    """Are params composed? `composed` says where from, `refused` why they cannot be."""
    if refused is not None:
        yield stops(TOPIC, ".dvc/config", f"turns Hydra on, and {refused}", "correct the configuration of Hydra.")
    elif composed is not None:
        yield noted(
            TOPIC, ".dvc/config", f"turns Hydra on: a run composes params.yaml from {composed}, as dvc exp run does."
        )
