"""The files of a checkout at or below a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retrain.inputs.reserved_names import FOLDERS


def files_in(checkout: Path) -> Callable[[str], list[str]]:
    """A function that gives the files at or below a path, relative to the top of the checkout; none if nothing is there."""

    def below(path: str) -> list[str]:
        top = checkout / path
        if top.is_file():
            return [path]
        found: list[str] = []
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in FOLDERS]
            found += [Path(folder, name).relative_to(checkout).as_posix() for name in names]
        return found

    return below
