"""A checkout as DVC itself describes it: stages, outputs, parameters, metrics, plots, models.

`infra/dvc/describe.py` writes the document, inside an environment that has DVC. Nothing else in this project interprets a dvc.yaml.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import index
from pathlib import Path
from typing import Any

from retrain.errors import DescriptionError, ReportError
from retrain.run.schema_version import require_readable
from retrain.work.dvc.committed_locks import CommittedLock
from retrain.work.dvc.declared import Artifact, Stage, TrackedFile
from retrain.work.dvc.outputs import Output
from retrain.work.masking import masked_value

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Description:
    """One checkout. `stages` and `tracked` are complete; metrics, plots and artifacts are those that `dvc repro` reaches with the run's targets.

    `metrics` has the numbers of each metrics file by path. `unreadable` has DVC's reason for each file that it cannot read.

    `missing` has the declared paths (dependencies, outputs, metrics, plots, artifacts) that are not in the checkout. `locks` has each
    committed dvc.lock that does not fit its dvc.yaml.
    """

    stages: tuple[Stage, ...]
    metrics: dict[str, dict[str, float]]
    plots: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    tracked: tuple[TrackedFile, ...]
    missing: tuple[str, ...]
    unreadable: dict[str, str]
    locks: tuple[CommittedLock, ...] = field(default=(), compare=False)  # a kept description lacks them

    @classmethod
    def from_json(cls, text: str | bytes, whose: str) -> Description:
        """Read the document. `whose` names it in an error.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            DescriptionError: it is not a description.
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
                tuple(Stage.from_entry(entry) for entry in document["stages"]),
                {each["path"]: {n: _number(v) for n, v in each["values"].items()} for each in document["metrics"]},
                tuple(document["plots"]),
                tuple(Artifact(**entry) for entry in document["artifacts"]),
                tuple(TrackedFile.from_entry(entry) for entry in document["tracked"]),
                tuple(document["missing"]),
                {each["path"]: each["error"] for each in document["metrics"] if "error" in each},
                tuple(CommittedLock.from_entry(entry) for entry in document.get("locks", ())),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DescriptionError(
                f"The description of {whose} cannot be read ({type(error).__name__}: {error}). "
                "Check that the deployment's DVC environment is complete, then clear the task."
            ) from error

    def to_json(self) -> str:
        """The document that `from_json` reads. Equal descriptions give equal bytes.

        `templates` and `locks` are not kept: only a new checkout needs them.
        """
        failed = {path: {"error": why} for path, why in self.unreadable.items()}
        document = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "metrics": [{"path": p, "values": values, **failed.get(p, {})} for p, values in self.metrics.items()],
        }
        del document["unreadable"], document["locks"]
        for stage in document["stages"]:
            del stage["templates"]
        return json.dumps(document, indent=1, sort_keys=True) + "\n"

    def without(self, hidden: Sequence[str]) -> Description:
        """The same with the texts `hidden` replaced in the values of params, which MLflow and the ledger get."""
        if not hidden:
            return self
        stages = [replace(stage, params=masked_value(stage.params, hidden)) for stage in self.stages]
        return replace(self, stages=tuple(stages))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of the reached stages that dvc.lock has the content of, including those that DVC does not store.

        Raises:
            DvcLockError: dvc.lock has no MD5 for one as DVC 3 computes them.
        """
        return tuple(
            Output.of_stage(stage, out) for stage in self.stages for out in stage.outs if stage.reached and out.locked
        )

    @property
    def tracked_outputs(self) -> tuple[Output, ...]:
        """The data of .dvc files that the reached stages need.

        Raises:
            DvcLockError: a .dvc file has no MD5 for its data as DVC 3 computes them.
        """
        return tuple(Output.of_file(each, out) for each in self.tracked for out in each.outs if each.reached)

    @property
    def stored(self) -> tuple[Output, ...]:
        """The outputs that have to be on our remote, and the tracked data that the run read.

        Raises:
            DvcLockError: as for `outputs` and `tracked_outputs`.
        """
        return (*(output for output in self.outputs if output.stored), *self.tracked_outputs)

    @property
    def left_out(self) -> tuple[Output, ...]:
        """Those of `stored` that `dvc push` leaves out: tracked data, some of which is imported, and outputs with a remote of their own.

        Raises:
            DvcLockError: as for `outputs` and `tracked_outputs`.
        """
        remotes = {out.path for stage in self.stages for out in stage.outs if out.remote}
        return (*(each for each in self.outputs if each.stored and each.path in remotes), *self.tracked_outputs)

    @property
    def params(self) -> dict[str, Any]:
        """The single parameters of the reached stages, by `section.name` for the top params.yaml, else by `file:section.name`."""
        return {
            name if file == "params.yaml" else f"{file}:{name}": value
            for stage in self.stages
            if stage.reached
            for file, values in stage.params.items()
            for name, value in values.items()
        }

    def metric_values(self) -> dict[str, float]:
        """The numbers of all metrics files, by name. A name that an earlier file has too gets its file's path as a prefix.

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
        """The declared paths, relative to the checkout, without duplicates.

        Raises:
            ReportError: one of them is not in the checkout.
        """
        found = list(dict.fromkeys(paths))
        for path in found:
            if not (checkout / path).exists():
                raise _not_there(path)
        return [Path(path) for path in found]

    @staticmethod
    def within(paths: Iterable[str], outputs: Iterable[Output]) -> list[Output]:
        """The outputs that are one of these paths, contain one, or lie in one."""
        known = tuple(paths)

        def touches(path: str, output: Output) -> bool:
            return path == output.path or path.startswith(f"{output.path}/") or output.path.startswith(f"{path}/")

        return [output for output in outputs if any(touches(path, output) for path in known)]


def _not_there(path: str) -> ReportError:
    return ReportError(
        f"dvc.yaml declares {path}, which does not exist after dvc repro. Correct dvc.yaml in a new release."
    )


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above what a float holds
        return math.inf if value > 0 else -math.inf
