"""A shape: a small repository of another team, the pipeline's file that they wrote for it, and the days that their producer lands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent / "shapes"
_FEED = "http://rates.example"  # in the shapes' code
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
    """The folder of a shape: `repository/`, `pipeline.yaml`, and `days.yaml` with the landed objects and the expected outcome."""

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

    def files(self, feed: str) -> dict[str, str]:
        """The text of each file of the repository by its path. `feed` is the address of the server that stages download from."""
        top = self.folder / "repository"
        found = {
            str(path.relative_to(top)): path.read_text().replace(_FEED, feed)
            for path in sorted(top.rglob("*"))
            if path.is_file()
        }
        if project := _WITH_DVC.get(self.name):
            found |= {f"environment/{name}": (project / name).read_text() for name in ("pyproject.toml", "uv.lock")}
        return found

    @cached_property
    def _days(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "days.yaml").read_text()))

    @property
    def bucket(self) -> str | None:
        """A bucket of the producer's own, if it does not write to the common one."""
        return self._days.get("bucket")

    @property
    def quiet_minutes(self) -> int | None:
        """How long nothing may come before a day has landed; None for a producer that writes a marker."""
        return self.pipeline.get("raw", {}).get("quiet_minutes")

    @property
    def not_kept(self) -> set[str]:
        """The outputs that DVC keeps nowhere."""
        return set(self._days.get("not_kept", ()))

    @cached_property
    def landed(self) -> dict[str, list[tuple[str, bytes]]]:
        """The objects of each day in the order of their landing: key below `raw.url`, and content. Days of no run are in it too."""
        days: dict[date, list[dict[str, str]]] = self._days["landed"]
        return {
            day.isoformat(): [(key, text.encode()) for each in objects for key, text in each.items()]
            for day, objects in days.items()
        }

    @cached_property
    def days(self) -> dict[str, Day]:
        """The two days whose runs the tests make, in order."""
        return {day.isoformat(): _day(expected) for day, expected in self._days["runs"].items()}

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
