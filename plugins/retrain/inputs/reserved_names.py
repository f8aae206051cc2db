"""The names in a checkout that belong to Git, to DVC or to the run, so that no data may have them."""

from __future__ import annotations

import posixpath

RUN_YAML, MANIFEST = "run.yaml", "manifest.json"
OF_THE_RUN = (RUN_YAML, MANIFEST)  # in `repository.folder`
FOLDERS = {".git": "Git", ".dvc": "DVC"}
FILES_OF_DVC = ("dvc.yaml", "dvc.lock", ".dvcignore")  # and the .dvc files, each with the name of its data


def of_the_run(place: str) -> tuple[str, str]:
    """The paths of `run.yaml` and `manifest.json`. `place` is where `repository.folder` is below the top of the DVC project."""
    return posixpath.normpath(f"{place}/{RUN_YAML}"), posixpath.normpath(f"{place}/{MANIFEST}")


def is_of_dvc(name: str) -> bool:
    """True if DVC takes a file or folder with this name for its own."""
    return name in FILES_OF_DVC or name.endswith(".dvc")
