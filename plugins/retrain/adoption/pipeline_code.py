"""The stages of a snapshot that a run would start, with the files of the repository that they use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retrain.adoption import python_code, stage_code
from retrain.adoption.python_code import Call
from retrain.adoption.snapshot import Snapshot
from retrain.adoption.stage_code import OwnCode, Started
from retrain.work.dvc.declared import Stage
from retrain.work.dvc.description import Description


@dataclass(frozen=True)
class StageCode:
    """A stage, the Python programs that it starts, and what they import of the repository."""

    stage: Stage
    programs: tuple[tuple[Started, OwnCode], ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The Python files of the repository that the stage uses."""
        return tuple(dict.fromkeys(file for _, code in self.programs for file in code.files))


@dataclass(frozen=True)
class PipelineCode:
    """All stages that a run would start; if it would start none, the stages that there are.

    `snapshot` is the DVC project, and `place` the folder of the pipeline in it.
    """

    snapshot: Snapshot
    described: Description
    stages: tuple[StageCode, ...]
    place: str = "."

    @classmethod
    def of(cls, snapshot: Snapshot, described: Description, place: str = ".") -> PipelineCode:
        """Follow the commands of the stages into the project."""
        reached = [stage for stage in described.stages if stage.reached] or list(described.stages)
        return cls(
            snapshot,
            described,
            tuple(
                StageCode(
                    stage,
                    tuple((each, stage_code.own_code(each, snapshot)) for each in stage_code.started(stage, snapshot)),
                )
                for stage in reached
            ),
            place,
        )

    @property
    def running(self) -> tuple[StageCode, ...]:
        """The stages that are not frozen."""
        return tuple(each for each in self.stages if not each.stage.frozen)

    @property
    def produced(self) -> frozenset[str]:
        """The outputs of the stages."""
        return frozenset(out.path for each in self.stages for out in each.stage.outs)

    def calls(self) -> Iterator[tuple[StageCode, str, Call]]:
        """Every call in the code of a stage: the stage, the file, the call."""
        for each in self.running:
            for file in each.files:
                for call in python_code.read(self.snapshot.texts[file]).calls:
                    yield each, file, call


def touches(path: str, other: str) -> bool:
    """True if the paths are equal, or one lies in the other."""
    return path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")
