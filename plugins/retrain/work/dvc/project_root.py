"""The top of a DVC project in a checkout: where DVC runs, and what all paths of a description are relative to."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from retrain.errors import NotAPipelineError


def project_root(checkout: Path, folder: str) -> Path:
    """The nearest folder with a `.dvc`, from `folder` of the checkout upwards to its top; `folder` itself if there is none.

    Raises:
        NotAPipelineError: the checkout has no such folder, or it is a symbolic link.
    """
    place = checkout / folder
    if not place.is_dir() or place.resolve() != checkout.resolve() / folder:
        raise NotAPipelineError(
            f"repository.folder is {folder}, which is no folder of the release. Correct it in the pipeline's file, or release a "
            "commit that has it."
        )
    inside = PurePosixPath(folder)
    for each in (inside, *inside.parents):
        if (checkout / each / ".dvc").is_dir():
            return checkout / each
    return place


def place_in_project(project: Path, folder: str) -> str:
    """The path of `folder` of the checkout below the top of its DVC project; `.` if it is the top.

    `project` is what `project_root` returned for this folder.
    """
    if folder == ".":
        return "."
    checkout = next(each for each in (project, *project.parents) if (each / ".git").exists())
    return (checkout / folder).relative_to(project).as_posix()
