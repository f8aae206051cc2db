"""The packages that a requirements file asks for, with all files that it includes, as `uv pip compile` reads them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from retrain.errors import EnvironmentDefinitionError
from retrain.work import process
from retrain.work.environments import fixed_versions, frozen, git_requirements, local_paths, requirements_file
from retrain.work.environments.errors import LocalPathError
from retrain.work.environments.requirements_file import Kind, Line

# Options that say nothing about which packages there are.
_NEEDLESS = frozenset(["--require-hashes", "--prefer-binary", "--use-feature", "--trusted-host"])
_PLACES = frozenset(["--index-url", "--extra-index-url", "--no-index", "--find-links"])
_BUILDS = frozenset(["--only-binary", "--no-binary"])
_VCS = re.compile(r"^(?P<address>(?:git|hg|svn|bzr)\+[^#\s]+)(?:#(?P<fragment>\S*))?$")


@dataclass(frozen=True)
class Requested:
    """What `uv pip compile` is asked.

    `lines` and `constraints` are lines of requirements files whose local paths are absolute. `pinned` are the packages, by canonical
    name, whose version is fixed. `hashes` are those that the files give, by canonical name. `files` are the contents of all files
    that were read, by path relative to the checkout. `refers` is True if something is in the checkout itself.
    """

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    prereleases: bool = False
    pinned: frozenset[str] = frozenset()
    hashes: dict[str, frozenset[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    refers: bool = False

    def and_then(self, other: Requested) -> Requested:
        """Both, one after the other."""
        hashes = {
            name: self.hashes.get(name, frozenset()) | other.hashes.get(name, frozenset())
            for name in (*self.hashes, *other.hashes)
        }
        return Requested(
            (*self.lines, *other.lines), (*self.constraints, *other.constraints), self.prereleases or other.prereleases,
            self.pinned | other.pinned, hashes, {**self.files, **other.files}, self.refers or other.refers,
        )  # fmt: skip


@dataclass(frozen=True)
class _Place:
    """The line of a file that is read. `folder` is that of the file; None for a supplied lock, which cannot include files."""

    checkout: Path
    bases: tuple[Path, ...]
    file: str
    number: int
    folder: Path | None
    constraint: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def of_file(file: Path, checkout: Path, bases: tuple[Path, ...]) -> Requested:
    """What a requirements file of the checkout asks for.

    Args:
        file: the file.
        checkout: the top of the Git checkout.
        bases: the folders that a local path may be relative to; pip takes the folder in which it is started.

    Raises:
        EnvironmentDefinitionError: an included file is missing, a local path leads out of the checkout or is missing, or an option is unknown.
    """
    place = _Place(checkout, bases, os.path.relpath(file, checkout), 0, file.parent, constraint=False)
    return _of(place, file.read_bytes(), frozenset())


def of_supplied(name: str, content: bytes, checkout: Path, bases: tuple[Path, ...]) -> Requested:
    """What a supplied requirements file asks for; its local paths are those of the checkout. Arguments and errors as for `of_file`."""
    return _of(_Place(checkout, bases, name, 0, None, constraint=False), content, frozenset())


def _of(place: _Place, content: bytes, above: frozenset[str]) -> Requested:
    found = Requested(files={place.file: content})
    if place.file.endswith(".toml"):
        return replace(found, lines=(f"-r {place.checkout / place.file}",))
    # Those that uv gets too: Airflow's own, which have secrets, are not among them.
    for line in requirements_file.lines(requirements_file.decoded(content), process.environment()):
        here = replace(place, number=line.number)
        found = found.and_then(
            _option(line, here, above | {place.file})
            if line.kind is Kind.OPTION
            else _requirement(line.text, here, line.hashes)
        )
    return found


def _option(line: Line, place: _Place, above: frozenset[str]) -> Requested:
    if line.name in ("--requirement", "--constraint"):
        return _included(line, place, above)
    if line.name == "--editable":
        return _requirement(line.text, place, (), editable=True)
    if line.name == "--pre" or line.name in _NEEDLESS:
        return Requested(prereleases=line.name == "--pre")
    if line.name in _BUILDS:
        return Requested(tuple(f"{line.name} {name.strip()}" for name in line.text.split(",")))
    if line.name not in _PLACES:
        raise EnvironmentDefinitionError(
            f"{place}: pip knows no option {line.name} in a requirements file. Correct it in a new release."
        )
    return _index(line, place)


def _index(line: Line, place: _Place) -> Requested:
    if line.name == "--no-index" or "://" in line.text or line.text.startswith("/"):
        return Requested((f"{line.name} {line.text}".strip(),))
    if line.name != "--find-links":
        raise frozen.local(str(place), f"{line.name} {line.text}")
    written = re.sub(r"^file:(//)?", "", line.text)
    folder = local_paths.inside(written, str(place), place.checkout, _bases(place), f"{line.name} {line.text}")
    return Requested((f"--find-links {folder}",), refers=True)


def _included(line: Line, place: _Place, above: frozenset[str]) -> Requested:
    constraint = place.constraint or line.name == "--constraint"
    if "://" in line.text:
        return Requested(constraints=(f"-c {line.text}",)) if constraint else Requested((f"-r {line.text}",))
    if place.folder is None:
        raise EnvironmentDefinitionError(
            f"{place} includes {line.text}. A supplied requirements file includes no other: write all packages into it."
        )
    file = place.folder / line.text
    if not file.is_file():
        raise EnvironmentDefinitionError(
            f"{place} includes {line.text}, which the release does not have. Add it in a new release."
        )
    local_paths.inside(line.text, str(place), place.checkout, (place.folder,))
    name = os.path.relpath(file, place.checkout)
    if name in above:  # files that include each other
        return Requested()
    return _of(replace(place, file=name, folder=file.parent, constraint=constraint), file.read_bytes(), above)


def _requirement(text: str, place: _Place, hashes: tuple[str, ...], *, editable: bool = False) -> Requested:
    bare, semicolon, marker = re.sub(r"\s+;", " ;", text).partition(" ;") if "://" in text else text.partition(";")
    bare, suffix = bare.strip(), f" ; {marker.strip()}" if semicolon else ""
    if (reference := local_paths.reference(bare)) and (editable or not _VCS.match(bare)):
        path = local_paths.inside(reference.written, str(place), place.checkout, _bases(place), text)
        if not local_paths.is_project(path):
            raise LocalPathError(
                f"{place}: {reference.written!r} is a folder that has neither pyproject.toml nor setup.py, so that it cannot be installed. "
                "Add one in a new release, or take the line out."
            )
        prefix = "-e " if editable and path.is_dir() else ""
        return _line(f"{prefix}{path}{reference.extras}{suffix}", place, frozenset(), refers=True)
    bare = git_requirements.as_url(_without_egg(bare))
    try:
        named = Requirement(f"{bare}{suffix}")
    except InvalidRequirement:
        return _line(f"{bare}{suffix}", place, frozenset())  # an address alone; uv says what is wrong with another
    name = canonicalize_name(named.name)
    fixed = hashes or fixed_versions.is_fixed(named)
    found = _line(f"{bare}{suffix}", place, frozenset([name] if fixed else []))
    return replace(found, hashes={name: frozenset(hashes)}) if hashes else found


def _line(text: str, place: _Place, pinned: frozenset[str], *, refers: bool = False) -> Requested:
    if place.constraint:
        return Requested(constraints=(text.removeprefix("-e "),), pinned=pinned, refers=refers)
    return Requested((text,), pinned=pinned, refers=refers)


def _bases(place: _Place) -> tuple[Path, ...]:
    return place.bases if place.folder is None else (*place.bases, place.folder)


def _without_egg(text: str) -> str:
    """`git+https://...#egg=name&subdirectory=x` as `name @ git+https://...#subdirectory=x`, which uv takes also after `-e`."""
    found = _VCS.match(text)
    if not found:
        return text
    parts = [part for part in (found["fragment"] or "").split("&") if part]
    eggs = [part.removeprefix("egg=") for part in parts if part.startswith("egg=")]
    rest = "&".join(part for part in parts if not part.startswith("egg="))
    address = f"{found['address']}#{rest}" if rest else found["address"]
    return f"{eggs[0]} @ {address}" if eggs else address
