"""The pipeline's file that would let a run start, as far as the repository shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from retrain.adoption import day_params, inputs_of_stages
from retrain.adoption.inputs_of_stages import NeededInput
from retrain.adoption.packages import Chosen
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.snapshot import Snapshot
from retrain.deployment.run_settings import RunSettings
from retrain.inputs.code_files import is_code
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.errors import FetchStageError
from retrain.inputs.likely_fetchers import LikelyFetcher, likely_fetchers
from retrain.inputs.stage_graph import StageGraph

_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Proposal:
    """The keys of the proposed file. `model` is the path of the artifact that is registered; `metrics` are metrics files.

    `refused` are paths that are no inputs because a run would refuse to lay data there, each with the reason and a way out.
    """

    url: str
    environment: str = "."
    inputs: tuple[NeededInput, ...] = ()
    params: dict[str, dict[str, str]] = field(default_factory=dict)
    fetch: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    metrics: tuple[str, ...] = ()
    likely_fetchers: tuple[LikelyFetcher, ...] = ()
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def has_raw(self) -> bool:
        """False if the stages fetch all their data."""
        return bool(self.inputs) or not self.fetch


def propose(snapshot: Snapshot, chosen: Chosen | None, code: PipelineCode | None) -> Proposal:
    """What the file of this repository should say."""
    environment = chosen.folder if chosen else "."
    if code is None:
        return Proposal(snapshot.url, environment)
    likely = tuple(likely_fetchers(code.described, _texts(code)))
    fetch = _fetch(code, likely)
    inputs = [each for each in inputs_of_stages.laid(inputs_of_stages.needed(code)) if _is_below(each.path)]
    if fetch:
        # Data that is fetched needs no raw objects: only what a clone lacks is laid.
        inputs = [each for each in inputs if each.kind != "committed"]
    refused = inputs_of_stages.refused(inputs, code)
    inputs = [each for each in inputs if each.path not in refused]
    models = code.described.models
    return Proposal(
        snapshot.url,
        environment,
        tuple(inputs),
        day_params.likely(code),
        fetch,
        models[0] if models else None,
        tuple(code.described.metrics),
        likely,
        refused,
    )


def _is_below(path: str) -> bool:
    """True for a path in the checkout that a pipeline's file can name."""
    return bool(_PATH.fullmatch(path)) and path != ".." and not path.startswith("../")


def _texts(code: PipelineCode) -> dict[str, str]:
    """The code files; one that a stage starts together with what it imports and no other stage uses."""
    texts = {path: text for path, text in code.snapshot.texts.items() if is_code(path)}
    for each in code.stages:
        others = {file for other in code.stages if other is not each for file in other.files}
        for program, own in each.programs:
            alone = [file for file in own.files if file != program.file and file not in others]
            if alone:
                texts[program.file] = "\n".join(code.snapshot.texts[file] for file in (program.file, *alone))
    return texts


def _fetch(code: PipelineCode, likely: tuple[LikelyFetcher, ...]) -> dict[str, str]:
    """The stages for `fetch`: those that need no other stage, and whose outputs DVC stores."""
    graph = StageGraph.of(code.described)
    found = {}
    for each in likely:
        if graph.needs[each.stage]:
            continue  # such as a training stage that also uploads something
        try:
            DayDependence.of(code.described, RunSettings(fetch=(each.stage,)), (), lambda _: ())
        except FetchStageError:
            continue  # `days` says why nothing brings the day into the pipeline
        found[each.stage] = f"{each.evidence} in {each.place}"
    return found
