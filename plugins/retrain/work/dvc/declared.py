"""The declarations in a dvc.yaml or a .dvc file. Names and types are those of the JSON that `infra/dvc/describe.py` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DeclaredOutput:
    """An output. `kind` is `out`, `metric` or `plot`.

    `locked`: dvc.lock, or the .dvc file, has its content. Otherwise `md5`, `hash` and `size` (bytes) are None.
    """

    path: str
    kind: str
    cached: bool
    pushed: bool
    persist: bool
    remote: str | None
    locked: bool
    md5: str | None
    hash: str | None
    size: int | None
    executable: bool


@dataclass(frozen=True)
class Stage:
    """One stage, after DVC has expanded `foreach` and `matrix`. `name` is DVC's address: `train`, `each@a`, `prep/dvc.yaml:clean`.

    `reached`: `dvc repro` runs it, because it is a target of the run, or one of these needs it.

    `params` are single values by file, then by `section.name`. `wdir` and all paths are relative to the top of the DVC project.
    `templates` are the keys, by file, that the stage's definition has as `${section.name}`.
    """

    name: str
    file: str
    cmd: tuple[str, ...]
    wdir: str
    frozen: bool
    always_changed: bool
    reached: bool
    deps: tuple[str, ...]
    params: dict[str, dict[str, Any]]
    outs: tuple[DeclaredOutput, ...]
    templates: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)  # a kept description lacks them

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Stage:
        """Read an entry of the document's `stages`. LookupError or TypeError if it is not one."""
        templates = {file: tuple(keys) for file, keys in entry.get("templates", {}).items()}
        own = {"cmd": tuple(entry["cmd"]), "deps": tuple(entry["deps"]), "outs": _outs(entry), "templates": templates}
        return cls(**{**entry, **own})


@dataclass(frozen=True)
class Artifact:
    """An entry of `artifacts:`."""

    name: str
    path: str
    type: str | None
    desc: str | None


@dataclass(frozen=True)
class TrackedFile:
    """A .dvc file: data that was added to DVC or imported from elsewhere, and that no stage makes.

    `reached`: a stage that `dvc repro` runs needs the data. A description of version 1 does not say it.
    """

    file: str
    frozen: bool
    imported: bool
    deps: tuple[str, ...]
    outs: tuple[DeclaredOutput, ...]
    reached: bool = False

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> TrackedFile:
        """Read an entry of the document's `tracked`. LookupError or TypeError if it is not one."""
        return cls(**{**entry, "deps": tuple(entry["deps"]), "outs": _outs(entry)})


def _outs(entry: Mapping[str, Any]) -> tuple[DeclaredOutput, ...]:
    return tuple(DeclaredOutput(**out) for out in entry["outs"])
