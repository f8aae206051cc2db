"""Whether a run with the proposed file would depend on its day, and which stages seem to fetch their own data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.proposal import Proposal
from retrain.adoption.snapshot import Snapshot
from retrain.deployment.run_settings import RunSettings
from retrain.inputs import day_dependence
from retrain.inputs.day_dependence import DayDependence
from retrain.inputs.errors import DayIndependentError, FetchStageError

TOPIC = "day"
_BUNDLED = re.compile(r"sklearn\.datasets\.(?:load|make)_\w+|seaborn\.load_dataset|statsmodels\.datasets\.\w+")


def observations(code: PipelineCode, proposal: Proposal) -> Iterator[Observation]:
    """Would each day give a model of its own?"""
    for each in proposal.likely_fetchers:
        proposed = each.stage in proposal.fetch
        key = f"fetch: [{each.stage}] in the pipeline's file" + (
            "; WRITE=<name> proposes it." if proposed else ", if it does."
        )
        yield surprises(
            TOPIC, f"stage {each.stage}", f"seems to fetch its own data ({each.evidence} in {each.place}): DVC would not run it again while its "
            "code and params are the same.", key,
        )  # fmt: skip
    bundled = {
        each.stage.name: f"{call.name} in {file}" for each, file, call in code.calls() if _BUNDLED.fullmatch(call.name)
    }
    for stage, evidence in bundled.items():
        yield surprises(
            TOPIC, f"stage {stage}", f"reads a data set that comes with a package ({evidence}): it is the same every day.",
            "let it read a file that inputs lays, or name it in static if that is meant.",
        )  # fmt: skip
    for file, values in proposal.params.items():
        for key, value in values.items():
            yield surprises(
                TOPIC, f"{file}: {key}", "looks like the day of a run, and the committed value is the same every day.",
                f'params: {{{file}: {{{key}: "{value}"}}}} in the pipeline\'s file; WRITE=<name> proposes it.',
            )  # fmt: skip
    if not any(each.reached for each in code.described.stages):
        return
    try:
        day = DayDependence.of(code.described, settings(proposal), (), _files(code.snapshot), code.place)
        day_dependence.require(day, "the pipeline")
    except (DayIndependentError, FetchStageError) as error:
        what, _, fix = str(error).partition(" In the pipeline's file name ")
        yield stops(TOPIC, "dvc.yaml", what, f"in the pipeline's file name {fix}" if fix else "correct dvc.yaml.")
        return
    if proposal.params or proposal.inputs or proposal.fetch:
        keys = [
            name
            for name, value in (("inputs", proposal.inputs), ("params", proposal.params), ("fetch", proposal.fetch))
            if value
        ]
        yield noted(TOPIC, "dvc.yaml", f"each day gives results of its own, by the proposed {listed(keys)}.")
    else:
        yield noted(TOPIC, "dvc.yaml", "each day gives results of its own: stages read run.yaml or manifest.json.")


def settings(proposal: Proposal) -> RunSettings:
    """The keys of the proposed file that can change a run's bytes."""
    return RunSettings(
        inputs=tuple(each.entry for each in proposal.inputs),
        params={file: dict(values) for file, values in proposal.params.items()},
        fetch=tuple(proposal.fetch),
        folder=proposal.place.folder,
        targets=proposal.place.targets,
    )


def _files(snapshot: Snapshot) -> Callable[[str], list[str]]:
    def files_in(path: str) -> list[str]:
        return [each for each in snapshot.paths if each == path or each.startswith(f"{path}/") or path == "."]

    return files_in
