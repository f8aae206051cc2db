"""A shape: a small repository of another team, the pipeline's file that they wrote for it, and the days that their producer lands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent / "shapes"
ROOT = FOLDER.parents[2]
# A release that brings DVC with S3 has it in an environment that exists already: the deployment's own.
_WITH_DVC = {"weekdays": ROOT / "infra" / "dvc"}


@dataclass(frozen=True)
class Day:
    """What has to come out of a day.

    `laid` are the files that the run lays, `replaced` those of the release that it takes away, `set` the params that it sets, by
    "file:key". `metrics` are in the record; `model` has the text of outputs by path.
    """

    metrics: dict[str, float]
    laid: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    set: dict[str, str] = field(default_factory=dict)
    model: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """The folder of a shape: `repository/`, `pipeline.yaml`, and `days.yaml` with the landed objects and the expected outcome.

    Some have more: `other_origins/` with further repositories of theirs, `remotes/` with the objects of their own DVC remotes as
    these lie there, `served/` with what their server answers, and a file that their pipeline's file names.
    """

    name: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def pipeline_file(self) -> str:
        return (self.folder / "pipeline.yaml").read_text()

    @cached_property
    def pipeline(self) -> dict[str, Any]:
        """The document of the pipeline's file, with its ${NAME} as they are."""
        return dict(yaml.safe_load(self.pipeline_file))

    def files(self, places: Mapping[str, str]) -> dict[str, str | bytes]:
        """The content of each file of the repository by its path. `places` are the real addresses by those in the files."""
        top = self.folder / "repository"
        found: dict[str, str | bytes] = {}
        for path in sorted(each for each in top.rglob("*") if each.is_file()):
            text, name = path.read_text(), str(path.relative_to(top))
            for place, real in places.items():
                text = text.replace(place, real)
            encoding = self.document.get("encodings", {}).get(name)
            found[name] = text.encode(encoding) if encoding else text
        if project := _WITH_DVC.get(self.name):
            found |= {f"environment/{name}": (project / name).read_text() for name in ("pyproject.toml", "uv.lock")}
        return found

    @property
    def beside(self) -> dict[str, str]:
        """The text of each file that lies beside the pipeline's file, by its name."""
        lock = self.pipeline.get("packages", {}).get("lock")
        return {lock: (self.folder / lock).read_text()} if lock else {}

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document of days.yaml, with the ${NAME} of the environment filled in."""
        return dict(yaml.safe_load(Template((self.folder / "days.yaml").read_text()).safe_substitute(os.environ)))

    @property
    def label(self) -> str | None:
        """The label of the released commit, for a team that does not tag."""
        return self.document.get("label")

    @property
    def release(self) -> str:
        """The tag of the release, or its label."""
        return self.label or str(self.document.get("tag", "v1.0.0"))

    @property
    def project(self) -> str:
        """The top of the DVC project in the repository, which the paths of days.yaml are below."""
        return str(self.document.get("project", "."))

    @property
    def bucket(self) -> str | None:
        """A bucket of the producer's own, if it does not write to the common one."""
        return self.document.get("bucket")

    @property
    def quiet_minutes(self) -> int | None:
        """How long nothing may come before a day has landed; None for a producer that writes a marker."""
        return self.pipeline.get("raw", {}).get("quiet_minutes")

    @property
    def has_lab(self) -> bool:
        """True if the team has a DVC remote on an S3 server of its own."""
        return (self.folder / "remotes" / "lab").is_dir()

    @property
    def variables(self) -> dict[str, str]:
        """The team's Variables of Airflow, by name."""
        return dict(self.document.get("variables", {}))

    @property
    def secrets(self) -> list[str]:
        """The texts that nobody may read."""
        connections = self.document.get("connections", {}).values()
        return [*self.variables.values(), *(each["password"] for each in connections if "of" not in each)]

    def named(self, key: str) -> set[str]:
        """A list of days.yaml, such as `not_kept`: the outputs that DVC keeps nowhere."""
        return set(self.document.get(key, ()))

    @cached_property
    def landed(self) -> dict[str, list[tuple[str, bytes]]]:
        """The objects of each day in the order of their landing: key below `raw.url`, and content. Days of no run are in it too."""
        days: dict[date, list[dict[str, str]]] = self.document["landed"]
        return {
            day.isoformat(): [(key, text.encode()) for each in objects for key, text in each.items()]
            for day, objects in days.items()
        }

    @cached_property
    def days(self) -> dict[str, Day]:
        """The two days whose runs the tests make, in order."""
        return {day.isoformat(): _day(expected) for day, expected in self.document["runs"].items()}

    @property
    def inputs(self) -> list[str]:
        """The paths of the checkout that the day's data is laid at."""
        return [each["path"] for each in self.pipeline.get("inputs", [])]


def _day(expected: dict[str, Any]) -> Day:
    return Day(
        metrics={name: float(value) for name, value in expected["metrics"].items()},
        laid=tuple(expected.get("laid", ())),
        replaced=tuple(expected.get("replaced", ())),
        set={name: str(value) for name, value in expected.get("set", {}).items()},
        model=expected.get("model", {}),
    )


# Last those whose days have landed a while after their last object: the others run meanwhile.
NAMES = tuple(
    sorted((folder.name for folder in FOLDER.iterdir()), key=lambda name: (bool(Shape(name).quiet_minutes), name))
)
