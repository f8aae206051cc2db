"""Small repositories as texts, with a description such as DVC gives of them, for the questions about a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from retrain.adoption.observation import Effect, Observation
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.snapshot import Snapshot
from retrain.work.dvc.declared import Artifact, DeclaredOutput, Stage, TrackedFile
from retrain.work.dvc.description import Description

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def snapshot(texts: Mapping[str, str] | None = None, tags: Sequence[str] = (), **modes: str) -> Snapshot:
    """A commit with these files; `modes` names submodules and links, with _ for /."""
    files = {"dvc.yaml": "", **(texts or {})}
    kinds = {**dict.fromkeys(files, "100644"), **{path.replace("_", "/"): mode for path, mode in modes.items()}}
    sizes = {path: len(text) for path, text in files.items()}
    return Snapshot("https://git.example.org/t/r.git", "main", COMMIT, tuple(tags), (), sizes, kinds, files)


def out(path: str, **changes: Any) -> DeclaredOutput:
    """An output that DVC stores."""
    plain = DeclaredOutput(path, "out", True, True, False, None, False, None, None, None, False)
    return replace(plain, **changes)


def stage(name: str, cmd: str, **changes: Any) -> Stage:
    """A stage that a run starts; `deps` and `outs` are paths, or outputs."""
    known: dict[str, Any] = {
        "name": name,
        "file": "dvc.yaml",
        "cmd": (cmd,),
        "wdir": ".",
        "frozen": False,
        "always_changed": False,
        "reached": True,
        "deps": (),
        "params": {},
        "outs": (),
    }
    given = {**known, **changes}
    if "templates" in Stage.__dataclass_fields__:
        given.setdefault("templates", {})
    given["outs"] = tuple(out(each) if isinstance(each, str) else each for each in given["outs"])
    given["deps"] = tuple(given["deps"])
    return Stage(**given)


def described(*stages: Stage, missing: Sequence[str] = (), **changes: Any) -> Description:
    """A description of these stages."""
    made = Description(stages, {}, (), (), (), tuple(missing), {})
    return replace(made, **changes)


def model(path: str) -> Artifact:
    """An artifact of type model."""
    return Artifact("model", path, "model", None)


def tracked(path: str, **changes: Any) -> TrackedFile:
    """A .dvc file beside its data."""
    own = out(path, **{"locked": True, "md5": "1" * 32, "hash": "md5", **changes})
    return TrackedFile(f"{path}.dvc", False, False, (), (own,), reached=True)


def code(*stages: Stage, texts: Mapping[str, str] | None = None, **changes: Any) -> PipelineCode:
    """The code of a repository with these stages and files."""
    return PipelineCode.of(snapshot(texts), described(*stages, **changes))


def seen(observations: Any, effect: Effect, words: str = "") -> list[Observation]:
    """The observations with an effect, and with these words in their line."""
    return [each for each in observations if each.effect is effect and words in each.line]
