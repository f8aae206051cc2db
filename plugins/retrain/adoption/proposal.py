"""The pipeline's file that would let a run start, as far as the repository shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from retrain.adoption import commands_of_stages, day_params, inputs_of_stages, own_modules, variables
from retrain.adoption.inputs_of_stages import NeededInput
from retrain.adoption.packages import Chosen
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.project_place import AT_THE_TOP, ProjectPlace
from retrain.adoption.snapshot import Snapshot
from retrain.adoption.tags import likely
from retrain.deployment.run_settings import RunSettings
from retrain.deployment.values import is_settable
from retrain.inputs.code_files import is_code
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.errors import FetchStageError
from retrain.inputs.likely_fetchers import LikelyFetcher, likely_fetchers
from retrain.inputs.stage_graph import StageGraph, group_of

_TARGET = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./@:+ -]*")  # in a pipeline's file
_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class Proposal:
    """The keys of the proposed file. `model` is the path of the artifact that is registered; `metrics` are metrics files.

    `tags` and `prereleases` are the keys of `repository`. `place` has the keys that say where the project lies, and what of it runs:
    `left_out` are stages that do not, because they seem to deliver something. `refused` are paths that are no inputs because a run
    would refuse to lay data there, each with the reason and a way out. `env` are variables that the stages need, with their values;
    `unset` those that have no default, with the place that reads them. `remotes` are the release's own remotes that have data which
    a run needs and does not lay, each with its kind.
    """

    url: str
    environment: str = "."
    place: ProjectPlace = AT_THE_TOP
    inputs: tuple[NeededInput, ...] = ()
    params: dict[str, dict[str, str]] = field(default_factory=dict)
    fetch: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    metrics: tuple[str, ...] = ()
    likely_fetchers: tuple[LikelyFetcher, ...] = ()
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: str | None = None
    prereleases: bool = False
    left_out: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    unset: dict[str, str] = field(default_factory=dict)
    remotes: dict[str, str] = field(default_factory=dict)
    python: str | None = None

    @property
    def has_raw(self) -> bool:
        """False if the stages fetch all their data."""
        return bool(self.inputs) or not self.fetch


def propose(
    snapshot: Snapshot,
    chosen: Chosen | None,
    code: PipelineCode | None,
    place: ProjectPlace = AT_THE_TOP,
    python: str | None = None,
) -> Proposal:
    """What the file of this repository should say. `python` is for `packages.python`; None for the deployment's own."""
    environment, named = chosen.folder if chosen else place.folder, likely(snapshot.tags)
    if code is None:
        return Proposal(snapshot.url, environment, place, tags=named.key, prereleases=named.prereleases, python=python)
    fetchers = tuple(likely_fetchers(code.described, _texts(code)))
    fetch = _fetch(code, fetchers)
    needed = inputs_of_stages.needed(code)
    params = day_params.likely(code)
    inputs = [each for each in inputs_of_stages.laid(needed) if _is_below(each.path)]
    if fetch:
        # Data that is fetched needs no raw objects: only data that a run finds nowhere is laid.
        inputs = [each for each in inputs if not each.is_found]
    every = [each for each in inputs_of_stages.all_laid(needed) if _is_below(each.path)]
    if not _is_of_the_day(code, inputs, params, fetch) and _is_of_the_day(code, every, params, fetch):
        inputs = every
    refused = inputs_of_stages.refused(inputs, code)
    inputs = [each for each in inputs if each.path not in refused]
    laid = {each.path for each in inputs}
    read = [each.remote for each in needed if each.remote and each.path not in laid and not each.lacking[0]]
    models = code.described.models
    left_out = _delivering(code)
    targets = _targets_without(left_out, code, place) if left_out else ()
    if targets and all(map(_TARGET.fullmatch, targets)):
        place = replace(place, targets=targets)
    else:
        left_out = ()
    folders = own_modules.needed_folders(code)
    unset, _ = variables.read_by(code)
    return Proposal(
        snapshot.url,
        environment,
        place,
        tuple(inputs),
        params,
        fetch,
        models[0] if models else None,
        tuple(code.described.metrics),
        fetchers,
        refused,
        named.key,
        named.prereleases,
        left_out,
        {"PYTHONPATH": ":".join(folders)} if folders else {},
        {name: where for name, where in unset.items() if is_settable(name)},
        {remote.name: remote.kind for remote in read if not remote.problem},
        python,
    )


def _is_of_the_day(
    code: PipelineCode, inputs: list[NeededInput], params: dict[str, dict[str, str]], fetch: dict[str, str]
) -> bool:
    """True if every outcome of the pipeline depends on the day by these keys of its file."""
    settings = RunSettings(
        inputs=tuple(each.entry for each in inputs),
        params={file: dict(values) for file, values in params.items()},
        fetch=tuple(fetch),
    )
    return not DayDependence.of(code.described, settings, (), lambda _: (), code.place).stale()


def _delivering(code: PipelineCode) -> tuple[str, ...]:
    """The stages that seem to deliver something, if no other stage needs one of them."""
    found = {each.stage.name for each in code.running if commands_of_stages.delivers(each.stage)}
    graph = StageGraph.of(code.described)
    needed = {name for other in graph.stages.keys() - found for name in graph.needs[other]}
    return () if found & needed or not graph.stages.keys() - found else tuple(sorted(found))


def _targets_without(left_out: tuple[str, ...], code: PipelineCode, place: ProjectPlace) -> tuple[str, ...]:
    """The other stages that no stage needs but for those that are left out, by the names of their groups."""
    graph = StageGraph.of(code.described)
    rest = [name for name in graph.stages if name not in left_out]
    needed = {name for other in rest for name in graph.needs[other]}
    own = f"{place.in_project}/dvc.yaml:"
    return tuple(dict.fromkeys(group_of(name).removeprefix(own) for name in rest if name not in needed))


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
