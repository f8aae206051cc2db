"""Why DVC itself does not expect a stage to give the same outputs again."""

from __future__ import annotations

from retrain.work.dvc.declared import Stage


def why_not_repeatable(stage: Stage) -> str | None:
    """The first of DVC's reasons to keep a stage out of its run cache; None if DVC would keep it.

    The conditions are those of DVC's `_can_hash` and `no_cache_outs`, as far as its description of the stage shows them.
    """
    away = next((dep for dep in stage.deps if "://" in dep), None)
    if stage.always_changed:
        return "it is always_changed"
    if not stage.deps and not stage.params:
        return "it has no dependencies"
    if away is not None:
        return f"its dependency {away} is not a file of the checkout"
    for out in stage.outs:
        if out.persist:
            return f"its output {out.path} is persist: true"
        if not out.cached and out.kind == "out":
            return f"its output {out.path} is cache: false"
    return None
