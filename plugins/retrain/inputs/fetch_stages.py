"""The stages that the pipeline's file names under `fetch`, and what they have to be like."""

from __future__ import annotations

from collections.abc import Iterable

from retrain.inputs.errors import FetchStageError
from retrain.inputs.stage_graph import StageGraph


def named(graph: StageGraph, fetch: Iterable[str]) -> frozenset[str]:
    """The addresses of the stages that fetch their own data, after a check that DVC stores all that they fetch.

    Raises:
        FetchStageError: `dvc repro` runs no such stage, or a later attempt of a run could not take its outputs.
    """
    stages = graph.named(fetch, "fetch")
    for name in sorted(stages):
        stage = graph.stages[name]
        if stage.frozen:
            raise FetchStageError(
                f"fetch in the pipeline's file names {name}, which is frozen, so it never runs. "
                "Take it out of fetch, or remove frozen in a new release."
            )
        if not stage.outs:
            raise FetchStageError(
                f"fetch in the pipeline's file names {name}, which has no outputs in dvc.yaml, so there is nothing to keep of what it "
                "fetches. Declare them under outs in a new release."
            )
        lost = [out.path for out in stage.outs if not (out.cached and out.pushed)]
        if lost:
            raise FetchStageError(
                f"Stage {name} fetches its own data, but DVC does not store its output {lost[0]}, so a retry of the day could not take it. "
                "Remove cache: false and push: false from it in a new release, or let another stage write it."
            )
    return stages
