"""The stages that `dvc repro` looks at for the targets of a pipeline's file, found with DVC's own resolution."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import PipelineStage
from dvc.stage.exceptions import StageFileDoesNotExistError, StageNotFound

ALL = "--all-pipelines"
_NEAR = 4  # targets that a refusal suggests


class RefusedTarget(Exception):  # noqa: N818 - the document's own word
    """A target that names no stage and no dvc.yaml of the checkout. `near` are targets like it, `files` all dvc.yaml with stages."""

    def __init__(self, target: str, near: list[str], files: list[str]) -> None:
        super().__init__(target)
        self.document = {"target": target, "near": near, "files": files}


def files_of(repo: Repo, targets: Sequence[str]) -> set[str]:
    """The dvc.yaml files that the targets name or name stages of, relative to the current folder."""
    if ALL in targets:
        walked = repo.dvcignore.walk(repo.fs, repo.root_dir)
        return {os.path.relpath(Path(at, "dvc.yaml")) for at, _, names in walked if "dvc.yaml" in names}
    return {file_of(target) for target in targets or ["dvc.yaml"]}


def reached(repo: Repo, targets: Sequence[str]) -> list[Any]:
    """The stages and .dvc files that `dvc repro` looks at, in its order.

    Args:
        repo: the checkout; the current folder is its top.
        targets: as `dvc repro` takes them; none for the dvc.yaml at the top. With `--all-pipelines` those of every dvc.yaml, but not the
            .dvc files that no stage needs: a run has no use for their data.

    Raises:
        RefusedTarget: a target is no stage and no dvc.yaml.
        DvcException: DVC refuses the checkout.
    """
    graph = get_active_graph(repo.index.graph)
    if ALL in targets:
        named = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        return list(plan_repro(graph, named)) if named else []
    return list(plan_repro(graph, [stage for target in targets or ["dvc.yaml"] for stage in collected(repo, target)]))


def collected(repo: Repo, target: str) -> list[Any]:
    """The stages that one target names."""
    try:
        found = list(repo.stage.collect(target))
    except (StageNotFound, StageFileDoesNotExistError) as error:
        raise refused(repo, target) from error
    if any(not isinstance(stage, PipelineStage) for stage in found):  # a .dvc file
        raise refused(repo, target)
    return found


def refused(repo: Repo, target: str) -> RefusedTarget:
    stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
    names = {stage.addressing for stage in stages}
    files = sorted({os.path.relpath(stage.path) for stage in stages}, key=lambda path: (path.count("/"), path))
    known = sorted({*names, *(group_of(name) for name in names), *files})
    own = target.rpartition(":")[2]
    # The same name in another dvc.yaml comes first: no spelling is nearer than that.
    same = [name for name in known if name.rpartition(":")[2] == own]
    like = difflib.get_close_matches(target, known, _NEAR, 0.5)
    return RefusedTarget(target, list(dict.fromkeys([*same, *like]))[:_NEAR], files)


def file_of(target: str) -> str:
    """The dvc.yaml of a target: `prep/dvc.yaml` for itself and for `prep/dvc.yaml:clean`, the top one for `train`."""
    group = target.partition("@")[0]
    file = group.rpartition(":")[0] or (group if Path(group).name == "dvc.yaml" else "dvc.yaml")
    return os.path.normpath(file)


def group_of(address: str) -> str:
    file, colon, name = address.rpartition(":")
    return f"{file}{colon}{name.partition('@')[0]}"


@dataclass(frozen=True)
class OfRun:
    """Decides which metrics, plots and artifacts at the top level of a dvc.yaml belong to a run.

    `files` are the dvc.yaml files of its targets and stages. `made` are the outputs of its stages, `left` those of all others.
    """

    files: Collection[str]
    made: Collection[str]
    left: Collection[str]

    def has(self, file: str, path: str) -> bool:
        """True if the run makes the path, or may find it in the commit. Of other dvc.yaml files only what the run makes counts."""
        if any(inside(path, out) or inside(out, path) for out in self.made):
            return True
        return file in self.files and not any(inside(path, out) for out in self.left)


def inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
