"""References to files and folders of the checkout, as package files write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from retrain.work.environments.errors import LocalPathError

FIX = "In a new release name it by its version or by its Git address, or supply a requirements file: packages: {lock: <name>.txt} in the pipeline's file."
_NAMED = re.compile(r"^[A-Za-z0-9][\w.-]*\s*(\[[^\]]*\])?\s*@\s*(?P<target>\S.*)$")
_EXTRAS = re.compile(r"(?P<path>.*?)(?P<extras>\[[\w.,\s-]*\])?$")
_DRIVE = re.compile(r"^/?[A-Za-z]:[\\/]")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class LocalReference:
    """A requirement that names a file or folder. `written` is its path as it stands in the file, `extras` such as `[plot]` or empty."""

    written: str
    extras: str


def reference(requirement: str) -> LocalReference | None:
    """The local reference of a requirement without marker and hash; None for a package by its name, or by a remote address."""
    named = _NAMED.match(requirement)
    target = named["target"].strip() if named else requirement.strip()
    found = _EXTRAS.fullmatch(target)
    path, extras = (found["path"], found["extras"] or "") if found else (target, "")
    if named and not extras:
        extras = (named[1] or "").strip()
    if path.lower().startswith("file:"):
        return LocalReference(
            unquote(re.sub(r"^file:(//(localhost)?)?", "", path.partition("#")[0], flags=re.IGNORECASE)), extras
        )
    if "://" in path or path.startswith(("git+", "hg+", "svn+", "bzr+")):
        return None
    looks_like_one = (
        named or "/" in path or "\\" in path or path.startswith((".", "~")) or path.lower().endswith(_ARCHIVES)
    )
    return LocalReference(path, extras) if looks_like_one else None


def inside(written: str, place: str, checkout: Path, bases: tuple[Path, ...], line: str = "") -> Path:
    """The file or folder of the checkout that a path leads to.

    Args:
        written: the path, as it stands in the file.
        place: the file, with its line if it is known, for the error.
        checkout: the top of the Git checkout.
        bases: the folders that the path may be relative to. The first one in which it is a project counts, else the first one in
            which it exists.
        line: the requirement, for the error; by default the path.

    Raises:
        LocalPathError: it is absolute, leads out of the checkout, also by a link, or does not exist.
    """
    top = checkout.resolve()
    plain = written.replace("\\", "/")
    if plain.startswith(("/", "~")) or _DRIVE.match(written):
        absolute = Path(plain)
        if not absolute.is_relative_to(top):
            raise LocalPathError(
                f"{place}: {(line or written)!r} is a path on one machine's disk, which the workers do not have. {FIX}"
            )
        bases = (absolute,)
    found = [path for base in bases if (path := (base / plain).resolve()).exists()]
    if not found:
        raise LocalPathError(
            f"{place}: {(line or written)!r} is a path that the repository does not have. Add it in a new release, or correct the path."
        )
    within = [path for path in found if path.is_relative_to(top)]
    if not within:
        raise LocalPathError(f"{place}: {(line or written)!r} leads out of the repository, to {found[0]}. {FIX}")
    return next((path for path in within if is_project(path)), within[0])


def is_project(path: Path) -> bool:
    """True for a file, and for a folder whose project can be built."""
    return path.is_file() or any((path / name).is_file() for name in ("pyproject.toml", "setup.py"))
