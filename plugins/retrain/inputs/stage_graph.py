"""Which stages of a release need which others, as DVC's description of the checkout has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from retrain.inputs.errors import FetchStageError
from retrain.work.dvc.declared import Stage
from retrain.work.dvc.description import Description


@dataclass(frozen=True)
class StageGraph:
    """The stages that `dvc repro` runs, by address."""

    stages: dict[str, Stage]

    @classmethod
    def of(cls, described: Description) -> StageGraph:
        """The graph of a checkout. A frozen stage stays in it, but needs no other: DVC does not look at its dependencies."""
        return cls({stage.name: stage for stage in described.stages if stage.reached})

    @cached_property
    def needs(self) -> dict[str, frozenset[str]]:
        """For each stage the stages whose outputs it reads itself."""
        return {name: self._makers(stage) for name, stage in self.stages.items()}

    def _makers(self, stage: Stage) -> frozenset[str]:
        if stage.frozen:
            return frozenset()
        read = (*stage.deps, *stage.params)
        return self.makers(read) - {stage.name}

    def makers(self, paths: Iterable[str]) -> frozenset[str]:
        """The stages with an output at, in or around one of these paths."""
        known = tuple(paths)
        return frozenset(
            name for name, stage in self.stages.items() for out in stage.outs if any(touch(out.path, p) for p in known)
        )

    def with_needed(self, names: Iterable[str]) -> frozenset[str]:
        """These stages and all that they need, directly or through others."""
        found: set[str] = set()
        left = set(names)
        while left:
            found |= left
            left = {other for name in left for other in self.needs[name]} - found
        return frozenset(found)

    def named(self, names: Iterable[str], key: str) -> frozenset[str]:
        """The stages that a key of the pipeline's file names: by address, or all items of a `foreach` or `matrix` by their group's name.

        The items of a group share one definition, so an item that is named stands for its group.

        Raises:
            FetchStageError: `dvc repro` runs no such stage, because there is none or because it is frozen.
        """
        found: set[str] = set()
        for name in names:
            members = {each for each in self.stages if group_of(each) == group_of(name)}
            if not members or ("@" in name.rpartition(":")[2] and name not in members):
                known = ", ".join(dict.fromkeys(map(group_of, self.stages))) or "none"
                raise FetchStageError(
                    f"{key} in the pipeline's file names {name}, which is no stage that dvc repro runs in this release "
                    f"(its stages: {known}). Correct the pipeline's file, or release a dvc.yaml with this stage."
                )
            found |= members
        return frozenset(found)


def group_of(address: str) -> str:
    """The name of a stage's definition in its dvc.yaml: `get` for `get@a`, `prep/dvc.yaml:get` for `prep/dvc.yaml:get@a`."""
    file, colon, name = address.rpartition(":")
    return f"{file}{colon}{name.partition('@')[0]}"


def touch(one: str, other: str) -> bool:
    """True if two paths are the same, or one is in the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/") or "." in (one, other)
