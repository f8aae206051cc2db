"""Data that a release tracks with .dvc files or frozen stages. It is on the release's own remote, which a run does not read."""

from __future__ import annotations

from pathlib import Path

from retrain.errors import TrackedInputError
from retrain.work.dvc.description import Description
from retrain.work.dvc.outputs import Output

_NAMED = 3


def require_none(described: Description, release: str) -> None:
    """Make sure that no stage needs data that only the release's own remote has. `release` names it in an error.

    Raises:
        TrackedInputError: a stage depends on the output of a .dvc file that a fresh checkout does not have. The message names them.
    """
    needed = [
        (out.path, tracked.file, stage.name)
        for tracked in described.tracked
        for out in tracked.outs
        if out.path in described.missing
        for stage in described.stages
        if stage.reached and any(_touch(out.path, dep) for dep in stage.deps)
    ]
    if needed:
        path, file, stage = needed[0]
        paths = list(dict.fromkeys(each for each, _, _ in needed))
        others = f" ({', '.join(paths[1 : _NAMED + 1])} too)" if len(paths) > 1 else ""
        raise TrackedInputError(
            f"{release} tracks {path} with {file}, and stage {stage} needs it{others}. A run reads Git, the day's raw "
            f"objects and its own store, not the release's remote. If it is the day's data, lay it there: `inputs: [{{path: {path}}}]` "
            "in the pipeline's file. Else commit it to Git, or let a stage read it, in a new release."
        )


def require_frozen_outputs(described: Description, cache: Path, release: str) -> None:
    """Make sure that the checkout or the cache has the outputs of frozen stages, which DVC does not run. `release` names it in an error.

    Raises:
        TrackedInputError: neither has one.
        DvcLockError: dvc.lock has no MD5 for one as DVC 3 computes them.
    """
    for stage in described.stages:
        for out in stage.outs if stage.frozen and stage.reached else ():
            if out.path not in described.missing:
                continue
            if not out.locked or not (cache / Output.of_stage(stage, out).item.key).is_file():
                raise TrackedInputError(
                    f"Stage {stage.name} of {release} is frozen, and its output {out.path} is neither in Git nor in the cache. A run reads "
                    "Git, the day's raw objects and its own store, not the release's remote. In a new release commit the output to Git, "
                    "or let the stage run. If the output is the day's data, remove the stage and lay the data there with `inputs` in "
                    "the pipeline's file."
                )


def _touch(path: str, dep: str) -> bool:
    return path == dep or dep.startswith(f"{path}/") or path.startswith(f"{dep}/")
