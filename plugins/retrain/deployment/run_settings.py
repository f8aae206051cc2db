"""The keys of a pipeline's file that can change a run's bytes. They are written into the manifest, hence into the run key."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt

from retrain.deployment.sections import DEFAULT_PARTITION, Input, Params, Section


class RunPackages(Section):
    """How the packages of a run were resolved. `lock` is the SHA-256 (hex) of the requirements file beside the pipeline's file."""

    python: str | None = None
    lock: str | None = None
    as_of: str = "commit"
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class RunSettings(Section):
    """The settings of a run; restore and replay read the recorded ones.

    `partition` is `raw.partition`. `fetch` names the stages that fetch their own data; `refetch` counts how often their data was
    fetched again on purpose. `folder` is `repository.folder`.
    """

    partition: str = DEFAULT_PARTITION
    inputs: tuple[Input, ...] = ()
    params: Params = Field(default_factory=dict)
    fetch: tuple[str, ...] = ()
    refetch: NonNegativeInt = 0
    folder: str = "."
    targets: Literal["all"] | tuple[str, ...] = ()
    packages: RunPackages = RunPackages()
    env: dict[str, str] = Field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """The keys that are set, each whole: a default that changes later does not change a recorded run."""
        values, unset = self.model_dump(mode="json"), type(self)().model_dump(mode="json")
        values["packages"] = self.packages.model_dump(mode="json", exclude_defaults=True)
        unset["packages"] = {}
        return {name: value for name, value in values.items() if value != unset[name]}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read what `to_document` wrote. ValueError if it is something else."""
        return cls.model_validate(document)
