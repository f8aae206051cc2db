"""Data that a checkout only names: in .dvc files, and as outputs of frozen stages, which DVC does not run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retrain.work.dvc.description import Description


@dataclass(frozen=True)
class TrackedInput:
    """Data that the stages need and the checkout lacks.

    `file` is its .dvc file, or the dvc.yaml of its frozen stage; `stage` is DVC's address of either. `md5` and `hash` are those of the
    .dvc file or dvc.lock, `md5-dos2unix` if DVC 2 wrote it; None if it has none. `needed_by` is the first stage that needs the data.
    """

    file: str
    stage: str
    path: str
    md5: str | None
    hash: str | None
    needed_by: str

    @property
    def named_by(self) -> str:
        """What names it, in words."""
        return self.file if self.file == self.stage else f"the frozen stage {self.stage}"


def missing_inputs(described: Description) -> tuple[TrackedInput, ...]:
    """The data of .dvc files and frozen stages that a run needs and the checkout does not have."""
    named = [
        *((each.file, each.file, out) for each in described.tracked if each.reached for out in each.outs),
        *((s.file, s.name, out) for s in described.stages if s.reached and s.frozen for out in s.outs),
    ]
    return tuple(
        TrackedInput(file, stage, out.path, out.md5, out.hash, _user(described, out.path, stage))
        for file, stage, out in named
        if out.path in described.missing
    )


def imports(described: Description) -> tuple[str, ...]:
    """The .dvc files of the imports that a run needs."""
    return tuple(each.file for each in described.tracked if each.reached and each.imported)


def _user(described: Description, path: str, own: str) -> str:
    users = (
        stage.name
        for stage in described.stages
        if stage.reached and not stage.frozen and _any_touches(path, stage.deps)
    )
    return next(users, own)


def _any_touches(path: str, deps: Iterable[str]) -> bool:
    return any(path == dep or dep.startswith(f"{path}/") or path.startswith(f"{dep}/") for dep in deps)
