"""The names in a checkout that belong to Git, to DVC or to the run, so that no data may have them."""

from __future__ import annotations

RUN_YAML, MANIFEST = "run.yaml", "manifest.json"
OF_THE_RUN = (RUN_YAML, MANIFEST)
FOLDERS = {".git": "Git", ".dvc": "DVC"}
FILES_OF_DVC = ("dvc.yaml", "dvc.lock", ".dvcignore")  # and the .dvc files, each with the name of its data


def is_of_dvc(name: str) -> bool:
    """True if DVC takes a file or folder with this name for its own."""
    return name in FILES_OF_DVC or name.endswith(".dvc")
