"""The targets of a pipeline's file as arguments of `dvc repro`."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Literal

from retrain.errors import NotAPipelineError, ReleaseError
from retrain.work.dvc.errors import TargetError

ALL = "--all-pipelines"
_NAMED = 4


def arguments(targets: Literal["all"] | tuple[str, ...], place: str) -> tuple[str, ...]:
    """The arguments for these targets at the top of the DVC project; none for the dvc.yaml there.

    Args:
        targets: `targets` of the pipeline's file.
        place: where `repository.folder` is below the top of the DVC project. A stage without a file is one of its dvc.yaml, as it is
            for `dvc repro` in that folder.
    """
    if targets == "all":
        return (ALL,)
    if place == ".":
        return targets
    own = f"{place}/dvc.yaml"
    return tuple(each if _names_a_file(each) else f"{own}:{each}" for each in targets) or (own,)


def refused(target: str, near: Sequence[str], files: Sequence[str], wanted: Sequence[str]) -> ReleaseError:
    """The error for a target that DVC does not find.

    Args:
        target: it, as `dvc repro` got it.
        near: targets of the release that are spelled alike.
        files: the release's dvc.yaml files that have stages.
        wanted: the run's arguments. Without any, the target is the dvc.yaml at the top; a dvc.yaml alone may be that of the folder.
    """
    there = ", ".join(files[:_NAMED]) + (f" and {len(files) - _NAMED} more" if len(files) > _NAMED else "")
    if posixpath.basename(target) == "dvc.yaml" and len(wanted) <= 1:
        if not files:
            return NotAPipelineError(
                f"The release has no {target}, and no other dvc.yaml with a stage. Add one with dvc stage add."
            )
        return NotAPipelineError(
            f"The release has no {target}, but {there}. In the pipeline's file name a folder under repository.folder, or files or "
            "stages under targets, or write `targets: all`."
        )
    hint = f"Near it are {', '.join(near)}" if near else f"Its stages are in {there or 'no file'}"
    return TargetError(
        f"targets in the pipeline's file has {target}, which is no stage and no dvc.yaml of the release. {hint}. "
        "Correct targets, or release a dvc.yaml with this stage."
    )


def _names_a_file(target: str) -> bool:
    group = target.partition("@")[0]  # the key of an item may have any characters
    return ":" in group or "/" in group or posixpath.splitext(group)[1] in (".yaml", ".dvc")
