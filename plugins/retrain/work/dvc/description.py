"""What a checkout declares and holds, as DVC itself describes it: stages, outputs, parameters, metrics, plots, models.

`infra/dvc/describe.py` writes the document, inside an environment that has DVC. No other module interprets a dvc.yaml.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path
from typing import Any

from retrain.errors import DescriptionError, LockError, ReportError
from retrain.run.schema_version import require_readable

SCHEMA_VERSION = 1
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class CachedObject:
    """One content-addressed object, and the first output and file that need it."""

    md5: str
    stage: str
    path: str

    @property
    def checksum(self) -> str:
        """The MD5 of its content, 32 hex digits."""
        return self.md5.removesuffix(".dir")

    @property
    def key(self) -> str:
        """Where DVC keeps it, below a cache or a remote."""
        return f"files/md5/{self.md5[:2]}/{self.md5[2:]}"


@dataclass(frozen=True)
class Output:
    """One output with its content. `md5` ends in `.dir` for a directory; `size` in bytes; `executable` for a file that may be run.

    `stored`: DVC keeps it in the cache and sends it to our remote. Without that (`cache: false`, `push: false`) nothing brings it back.
    """

    stage: str
    path: str
    md5: str
    size: int
    executable: bool = False
    stored: bool = True

    @property
    def item(self) -> CachedObject:
        """The object that it is, or the listing of its folder."""
        return CachedObject(self.md5, self.stage, self.path)


@dataclass(frozen=True)
class DeclaredOutput:
    """An output as a dvc.yaml or a .dvc file declares it. `kind` is `out`, `metric` or `plot`.

    `md5`, `hash` and `size` are None unless it is `locked`: unless dvc.lock, or the .dvc file, says what its content is.
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
    """One stage of a dvc.yaml, `foreach` and `matrix` expanded. `name` as DVC addresses it: `train`, `each@a`, `prep/dvc.yaml:clean`.

    `reached`: `dvc repro` runs it, because it is in the dvc.yaml at the top or something there needs it.

    `params` are single values by file and `section.name`; `wdir` and all paths start from the top of the checkout.
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


@dataclass(frozen=True)
class Artifact:
    """An entry of `artifacts:` in a dvc.yaml."""

    name: str
    path: str
    type: str | None
    desc: str | None


@dataclass(frozen=True)
class TrackedFile:
    """A .dvc file: data that was added, or imported from elsewhere, and that no stage makes."""

    file: str
    frozen: bool
    imported: bool
    deps: tuple[str, ...]
    outs: tuple[DeclaredOutput, ...]


@dataclass(frozen=True)
class Description:
    """One checkout: all its stages and .dvc files, and the rest of those that `dvc repro` reaches.

    `metrics` are the numbers of each metrics file; `unreadable` has DVC's reason for those that it cannot read.

    `missing` are the declared paths (dependencies, outputs, metrics, plots, artifacts) that are not in the checkout.
    """

    stages: tuple[Stage, ...]
    metrics: dict[str, dict[str, float]]
    plots: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    tracked: tuple[TrackedFile, ...]
    missing: tuple[str, ...]
    unreadable: dict[str, str]

    @classmethod
    def from_json(cls, text: str | bytes, whose: str) -> Description:
        """`whose` names the document in an error.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            DescriptionError: it is no description.
        """
        try:
            document = json.loads(text)
            require_readable(
                index(document["schema_version"]),
                SCHEMA_VERSION,
                f"The description of {whose}",
                "Update the deployment.",
            )
            return cls(
                tuple(_stage(entry) for entry in document["stages"]),
                {each["path"]: {n: _number(v) for n, v in each["values"].items()} for each in document["metrics"]},
                tuple(document["plots"]),
                tuple(Artifact(**entry) for entry in document["artifacts"]),
                tuple(_tracked(entry) for entry in document["tracked"]),
                tuple(document["missing"]),
                {each["path"]: each["error"] for each in document["metrics"] if "error" in each},
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DescriptionError(
                f"The description of {whose} cannot be read ({type(error).__name__}: {error}). "
                "Check that the deployment's DVC environment is whole, then clear the task."
            ) from error

    def to_json(self) -> str:
        """The document that `from_json` reads; equal descriptions are equal bytes."""
        failed = {path: {"error": why} for path, why in self.unreadable.items()}
        document = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "metrics": [{"path": p, "values": values, **failed.get(p, {})} for p, values in self.metrics.items()],
        }
        del document["unreadable"]
        return json.dumps(document, indent=1, sort_keys=True) + "\n"

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every output of the reached stages whose content dvc.lock names, those that DVC keeps nowhere included.

        Raises:
            LockError: an output has no MD5 as DVC 3 makes them, so it cannot be proven or restored.
        """
        return tuple(
            Output(
                stage.name,
                out.path,
                _md5_of(out, stage),
                out.size or 0,
                out.executable,
                stored=out.cached and out.pushed,
            )
            for stage in self.stages
            for out in stage.outs
            if stage.reached and out.locked
        )

    @property
    def stored(self) -> tuple[Output, ...]:
        """The outputs that have to be on our remote."""
        return tuple(output for output in self.outputs if output.stored)

    @property
    def params(self) -> dict[str, Any]:
        """The single parameters of the reached stages: `section.name` of params.yaml at the top, else `file:section.name`."""
        return {
            name if file == "params.yaml" else f"{file}:{name}": value
            for stage in self.stages
            if stage.reached
            for file, values in stage.params.items()
            for name, value in values.items()
        }

    def metric_values(self) -> dict[str, float]:
        """All numbers of all metrics files; a name that an earlier file has gets the path of its own file in front.

        Raises:
            ReportError: a metrics file is missing or cannot be read, or a metric is not a finite number.
        """
        values: dict[str, float] = {}
        for path, numbers in self.metrics.items():
            if path in self.missing:
                raise _not_there(path)
            if path in self.unreadable:
                raise ReportError(
                    f"The metrics file {path} cannot be read: {self.unreadable[path]}. Fix the stage that writes it, in a new release."
                )
            for name, value in numbers.items():
                if not math.isfinite(value):
                    raise ReportError(
                        f"The metric {name} in {path} is {value}, expected a finite number. "
                        "Find out why the stage computes it, and fix it in a new release."
                    )
                values[name if name not in values else f"{Path(path).with_suffix('')}.{name}"] = value
        return values

    @property
    def models(self) -> tuple[str, ...]:
        """The paths of the artifacts of type `model`, in the order of dvc.yaml."""
        return tuple(artifact.path for artifact in self.artifacts if artifact.type == "model")

    def existing(self, paths: Iterable[str], checkout: Path) -> list[Path]:
        """Declared paths, relative to the checkout, each once.

        Raises:
            ReportError: one of them is not there.
        """
        found = list(dict.fromkeys(paths))
        for path in found:
            if not (checkout / path).exists():
                raise _not_there(path)
        return [Path(path) for path in found]

    @staticmethod
    def within(paths: Iterable[str], outputs: Iterable[Output]) -> list[Output]:
        """The outputs that are one of these paths, hold one, or lie in one."""
        known = tuple(paths)

        def touches(path: str, output: Output) -> bool:
            return path == output.path or path.startswith(f"{output.path}/") or output.path.startswith(f"{path}/")

        return [output for output in outputs if any(touches(path, output) for path in known)]


def _not_there(path: str) -> ReportError:
    return ReportError(
        f"dvc.yaml declares {path}, which is not there after dvc repro. Correct dvc.yaml in a new release."
    )


def _stage(entry: Mapping[str, Any]) -> Stage:
    outs = tuple(DeclaredOutput(**out) for out in entry["outs"])
    return Stage(**{**entry, "cmd": tuple(entry["cmd"]), "deps": tuple(entry["deps"]), "outs": outs})


def _tracked(entry: Mapping[str, Any]) -> TrackedFile:
    outs = tuple(DeclaredOutput(**out) for out in entry["outs"])
    return TrackedFile(**{**entry, "deps": tuple(entry["deps"]), "outs": outs})


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above what a float holds
        return math.inf if value > 0 else -math.inf


def _md5_of(out: DeclaredOutput, stage: Stage) -> str:
    """The MD5 that names an output's content, `cache: false` included; LockError for an output that has none of DVC 3's."""
    whose = f"dvc.lock: {out.path} (stage {stage.name})"
    if out.md5 is None or not _MD5.fullmatch(out.md5):
        raise LockError(
            f"{whose} has {'no MD5' if out.md5 is None else f'the MD5 {out.md5!r}'}, so it cannot be proven or restored. "
            "Let the stage write it inside the checkout, for DVC to keep on our remote, in a new release."
        )
    if out.hash != "md5":
        raise LockError(
            f"{whose} has an MD5 as DVC 2 makes them, of other bytes and in another place. "
            "Give the release DVC 3, or none, and a dvc.lock that DVC 3 wrote, or none."
        )
    return out.md5
