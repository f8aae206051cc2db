"""Makes descriptions of checkouts, as DVC would give them, from a few words per stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retrain.work.dvc.declared import Artifact, DeclaredOutput, Stage, TrackedFile
from retrain.work.dvc.description import Description


def out(path: str, **changes: Any) -> DeclaredOutput:
    values = {"kind": "out", "cached": True, "pushed": True, "persist": False, "remote": None, "locked": False}
    return DeclaredOutput(path=path, md5=None, hash=None, size=None, executable=False, **{**values, **changes})


def stage(name: str, deps: str = "", outs: str = "", **changes: Any) -> Stage:
    """A stage of the top dvc.yaml; `deps` and `outs` are paths between spaces."""
    values: dict[str, Any] = {
        "file": name.rpartition(":")[0] or "dvc.yaml",
        "cmd": (f"python {name}.py",),
        "wdir": ".",
        "frozen": False,
        "always_changed": False,
        "reached": True,
        "deps": tuple(deps.split()),
        "params": {},
        "outs": tuple(out(path) for path in outs.split()),
    }
    return Stage(name=name, **{**values, **changes})


def described(
    *stages: Stage, model: str = "", metrics: Iterable[str] = (), tracked: Mapping[str, str] | None = None
) -> Description:
    """A checkout; `model` is the path of an artifact of type model, `tracked` has the path of each .dvc file's data."""
    artifacts = (Artifact("m", model, "model", None),) if model else ()
    files = tuple(TrackedFile(file, False, False, (), (out(path),)) for file, path in (tracked or {}).items())
    return Description(stages, {path: {} for path in metrics}, (), artifacts, files, (), {})
