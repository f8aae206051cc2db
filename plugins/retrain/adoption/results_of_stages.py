"""What a run would record: metrics, models, outputs; and what in dvc.yaml behaves in another way than a team may expect."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode, StageCode, touches
from retrain.adoption.python_code import read

_TIMED = re.compile(r"(?<!\d)(?:20\d{2}[-_]?\d{2}[-_]?\d{2}(?:[-_T]?\d{4,6})?|\d{8}[-_]\d{6})(?!\d)")
_CLOCK = re.compile(r"strftime|(?:datetime|date|time)\.(?:now|today|utcnow|time)\b")
_MODEL = re.compile(r"(?:^|[/_.-])(?:models?|clf|classifier|regressor|estimator)(?:[/_.-]|$)", re.IGNORECASE)
_MODEL_SUFFIX = (
    ".pkl",
    ".pickle",
    ".joblib",
    ".pt",
    ".pth",
    ".h5",
    ".keras",
    ".onnx",
    ".cbm",
    ".bin",
    ".model",
    ".ckpt",
    ".skops",
    ".sav",
)


def metrics(code: PipelineCode) -> Iterator[Observation]:
    """Are there metrics that can be recorded?"""
    described = code.described
    if not described.metrics:
        yield surprises(
            "metrics", "dvc.yaml", "declares no metrics: nothing is recorded of a day's quality, and no alert can watch it.",
            "declare the metrics file of a stage as metrics: in dvc.yaml.",
        )  # fmt: skip
    for path, why in described.unreadable.items():
        yield surprises(
            "metrics",
            path,
            f"cannot be read: {why}. A run that leaves it like this is not recorded.",
            "write JSON, YAML or TOML.",
        )
    for path, values in described.metrics.items():
        if not values and path not in described.missing and path not in described.unreadable:
            yield surprises(
                "metrics",
                path,
                "the committed file has no number in it: MLflow and the record would have no metric of it.",
                "write numbers, not texts or lists.",
            )
    uncached = [out.path for each in code.stages for out in each.stage.outs if out.kind == "metric" and not out.cached]
    if uncached:
        yield noted(
            "metrics",
            listed(uncached),
            "cache: false: the numbers are recorded, and the file itself cannot be restored.",
        )


def models(code: PipelineCode) -> Iterator[Observation]:
    """Which model would be registered?"""
    found = code.described.models
    if len(found) > 1:
        yield surprises(
            "models",
            "dvc.yaml",
            f"has {len(found)} artifacts of type model; only the first, {found[0]}, is registered.",
            "give the others another type.",
        )
    elif found:
        yield noted("models", found[0], "is registered as the model of tracking.model.")
    elif likely := likely_model(code):
        yield surprises(
            "models", likely, "looks like the model, and no artifact of dvc.yaml has type model: none would be registered.",
            f"add to dvc.yaml: artifacts: {{model: {{path: {likely}, type: model}}}}",
        )  # fmt: skip
    else:
        yield noted("models", "dvc.yaml", "has no artifact of type model, and no output that looks like one.")


def likely_model(code: PipelineCode) -> str | None:
    """The last output that looks like a model."""
    outs = [out.path for each in code.stages for out in each.stage.outs if out.kind == "out"]
    data = (".csv", ".json", ".parquet", ".txt", ".yaml", ".npy")
    named = [path for path in outs if _MODEL.search(path) and not path.endswith(data)]
    suffixed = [path for path in outs if posixpath.splitext(path)[1].lower() in _MODEL_SUFFIX]
    exact = [path for path in named if path in suffixed]
    return next(iter([*exact, *named, *suffixed][:1]), None)


def outputs(code: PipelineCode) -> Iterator[Observation]:
    """Which outputs can DVC not take, or not keep?"""
    for each in code.stages:
        where = f"stage {each.stage.name}"
        for out in each.stage.outs:
            if out.cached and out.path in code.snapshot.paths:
                yield stops(
                    "outputs",
                    out.path,
                    f"is an output of {where} and also in Git: DVC refuses it.",
                    f"git rm --cached {out.path}, or set cache: false.",
                )
            elif out.cached and any(path.startswith(f"{out.path}/") for path in code.snapshot.paths):
                yield stops(
                    "outputs",
                    out.path,
                    f"is an output of {where}, and files in it are in Git: DVC refuses it.",
                    f"git rm -r --cached {out.path}, or set cache: false.",
                )
            if out.path.startswith(("../", "/")) or "://" in out.path:
                yield stops(
                    "outputs",
                    out.path,
                    f"is an output of {where} outside the checkout, which cannot be stored or restored.",
                    "write it inside the repository.",
                )
            if _TIMED.search(out.path):
                yield from _timed(each, out.path, code)
        if persist := [out.path for out in each.stage.outs if out.persist]:
            yield surprises(
                "outputs",
                where,
                f"persist: {listed(persist)} starts from nothing each day, because each run has a new checkout.",
                "let the stage make it from its inputs.",
            )


def _timed(each: StageCode, path: str, code: PipelineCode) -> Iterator[Observation]:
    if any(_CLOCK.search(code.snapshot.texts[file]) for file in each.files):
        yield stops(
            "outputs", path, f"has a time in its name, and the code of stage {each.stage.name} reads the clock: the next run writes another name.",
            "write one fixed name, and declare that.",
        )  # fmt: skip
    else:
        yield surprises(
            "outputs",
            path,
            f"has a time in its name; stage {each.stage.name} has to write this very name each day.",
            "use a fixed name.",
        )


def clock(code: PipelineCode) -> Iterator[Observation]:
    """Does a stage write the time of its run?"""
    for each in code.stages:
        reading = [
            file
            for file in each.files
            if any(
                c.name.endswith(".strftime") or c.name == "time.strftime" for c in read(code.snapshot.texts[file]).calls
            )
        ]
        if reading:
            yield surprises(
                "outputs", f"stage {each.stage.name}", f"formats the time of its run ({listed(reading)}): if an output has it in its name or content, a "
                "repeated day gives other bytes.", "take the day from a param or from run.yaml.",
            )  # fmt: skip


def grammar(code: PipelineCode) -> Iterator[Observation]:
    """Which features of dvc.yaml behave in a way of their own in a run?"""
    for each in code.stages:
        where, stage = f"stage {each.stage.name}", each.stage
        if stage.frozen:
            lacking = [out.path for out in stage.outs if out.path in code.described.missing]
            needed = [
                other.stage.name
                for other in code.stages
                for dep in other.stage.deps
                if not other.stage.frozen and any(touches(dep, path) for path in lacking)
            ]
            if not needed:
                yield surprises("stages", where, "is frozen: it does not run.", "")
            old = [out.path for out in stage.outs if out.locked and out.hash != "md5"]
            if [path for path in old if path not in lacking]:  # data that is fetched gets the form of DVC 3
                yield stops(
                    "dvc.lock",
                    where,
                    "is frozen, its output is in Git, and its entry in dvc.lock is of DVC 2, which cannot be proven.",
                    "run dvc commit with DVC 3 and commit dvc.lock.",
                )
        if stage.always_changed:
            yield surprises(
                "stages",
                where,
                "always_changed: it runs each time, also when a day is cleared; if it gives other bytes then, the first record stands.",
                "name it in fetch if it fetches data.",
            )
        if stage.outs and not stage.deps and not stage.params and not stage.frozen:
            yield surprises(
                "stages",
                where,
                "has no dependency: it runs again when a day is cleared; if it gives other bytes then, the first record stands.",
                "add its script to deps.",
            )
    generated = sorted({each.stage.name.partition("@")[0] for each in code.stages if "@" in each.stage.name})
    if generated:
        yield noted("stages", listed(generated), "foreach or matrix: expanded by DVC itself, as it does for you.")
