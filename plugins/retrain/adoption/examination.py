"""All questions about one repository, in their order."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrain.adoption import (
    clone,
    commands_of_stages,
    days,
    imported_packages,
    inputs_of_stages,
    layout,
    own_modules,
    packages,
    project_place,
    remotes,
    resolving,
    results_of_stages,
    tags,
    tracking_calls,
    variables,
)
from retrain.adoption.observation import Effect, Observation, counted, in_order, noted, stops
from retrain.adoption.packages import Chosen
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.project_place import ProjectPlace
from retrain.adoption.proposal import Proposal, propose
from retrain.adoption.resolving import ResolvedPackages
from retrain.adoption.snapshot import Snapshot
from retrain.deployment.run_settings import RunSettings
from retrain.errors import DescriptionError, DvcError, NotAPipelineError
from retrain.work import large_files
from retrain.work.dvc.errors import HydraError
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc
from retrain.work.environments import environment, pythons

SCHEMA_VERSION = 1
_DESCRIBE_SECONDS = 90.0


@dataclass(frozen=True)
class Examination:
    """What was found in one commit of a repository. `stages` are those that a run would start, in the order of dvc.yaml."""

    url: str
    reference: str
    commit: str
    stages: tuple[str, ...]
    observations: tuple[Observation, ...]
    proposal: Proposal
    seconds: float

    @property
    def would_start(self) -> bool:
        """True if nothing would stop a run with the proposed file."""
        return not any(each.effect is Effect.STOPS for each in self.observations)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values, described in infra/docs/check.md."""
        counts = {effect.value: sum(each.effect is effect for each in self.observations) for effect in Effect}
        return {
            "schema_version": SCHEMA_VERSION,
            "repository": self.url,
            "reference": self.reference,
            "commit": self.commit,
            "would_start": self.would_start,
            "counts": counts,
            "stages": list(self.stages),
            "observations": [asdict(each) for each in self.observations],
            "seconds": self.seconds,
        }


def examine(url: str, reference: str, environments: Path) -> Examination:
    """Fetch a repository into a temporary folder, ask all questions, and remove it. No code of the repository is run.

    Args:
        url: the address, as `address.checked` returns it.
        reference: a tag, a branch or a commit; empty for the origin's HEAD.
        environments: where the deployment's own DVC is, or is installed.

    Raises:
        RetrainError: the repository cannot be read, has no commit or no dvc.yaml, or has no such reference.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="check-") as scratch:
        checkout = Path(scratch) / "checkout"
        snapshot = clone.fetch(url, reference, checkout)
        if not snapshot.named("dvc.yaml"):
            raise NotAPipelineError(
                f"{snapshot.reference} ({snapshot.commit}) of {url} has no dvc.yaml. Add one with dvc stage add, or name another REF."
            )
        place, code, refused = _described(checkout, snapshot, project_place.find(snapshot), environments)
        chosen = packages.choose(snapshot, place.folder)
        available = pythons.available()
        python = packages.proposed_python(snapshot, chosen, available)
        resolved = resolving.resolve(checkout, chosen, python, available) if chosen else None
        proposal = propose(snapshot, chosen, code, place, resolved.python if resolved else python)
        found = [*refused, *_of_snapshot(snapshot, place, chosen, available)]
        found += _of_stages(code, proposal) if code else ()
        found += _of_packages(chosen, resolved, code)
    return Examination(
        url,
        snapshot.reference,
        snapshot.commit,
        tuple(each.stage.name for each in code.stages) if code else (),
        tuple(in_order(found)),
        proposal,
        round(time.monotonic() - started, 1),
    )


def _described(
    checkout: Path, snapshot: Snapshot, place: ProjectPlace, environments: Path
) -> tuple[ProjectPlace, PipelineCode | None, list[Observation]]:
    own = environment.provide(DEPLOYMENT_DVC, environments)
    dvc = Dvc.of(checkout / place.root, own, own, checkout.parent / "cache", {})
    composed, refused = None, None
    try:
        composed = dvc.compose_params(code=False)
    except HydraError as error:
        refused = str(error)
    seen = list(project_place.hydra(composed, refused))
    try:
        described = dvc.aimed(_settings(place)).describe(_DESCRIBE_SECONDS)
        if (one := project_place.of_one_pipeline(place, described)) != place:
            place, described = one, dvc.aimed(_settings(one)).describe(_DESCRIBE_SECONDS)
    except DescriptionError as error:
        why = str(error).removeprefix("DVC refuses the release: ").removesuffix(" Fix it in a new release.")
        return (
            place,
            None,
            [
                *seen,
                stops(
                    "dvc",
                    "dvc.yaml",
                    f"DVC refuses the repository: {why}",
                    "correct it, until dvc stage list works with DVC 3.",
                ),
            ],
        )
    except DvcError:
        return (
            place,
            None,
            [
                stops(
                    "dvc",
                    "dvc.yaml",
                    f"DVC did not describe the repository: it failed, or took over {_DESCRIBE_SECONDS:.0f} seconds.",
                    "try dvc stage list with DVC 3 in a clone. YAML that refers to itself many times over takes for ever.",
                )
            ],
        )
    counts = {
        "stage": sum(stage.reached for stage in described.stages),
        "metrics file": len(described.metrics),
        "plot": len(described.plots),
        "artifact": len(described.artifacts),
    }
    told = ", ".join(counted(count, name) for name, count in counts.items())
    code = PipelineCode.of(snapshot.below(place.root), described, place.in_project)
    return place, code, [*seen, noted("dvc", "dvc.yaml", f"a run has {told}.")]


def _settings(place: ProjectPlace) -> RunSettings:
    return RunSettings(folder=place.folder, targets=place.targets)


def _of_snapshot(
    snapshot: Snapshot, place: ProjectPlace, chosen: Chosen | None, available: list[str]
) -> Iterator[Observation]:
    yield from project_place.observations(place)
    yield from tags.observations(snapshot)
    yield from remotes.observations(snapshot.below(place.root))
    yield from packages.files(snapshot, chosen, place.folder)
    yield from packages.python(snapshot, chosen, available)


def _of_stages(code: PipelineCode, proposal: Proposal) -> Iterator[Observation]:
    yield from project_place.several_files(code, proposal.place)
    yield from layout.submodules(code)
    yield from layout.large_files(code, [each.path for each in proposal.inputs], fetched=large_files.program_is_there())
    yield from remotes.outputs(code)
    yield from inputs_of_stages.observations(code, list(proposal.inputs), proposal.refused)
    yield from commands_of_stages.observations(code)
    yield from commands_of_stages.absolute_paths(code)
    yield from own_modules.observations(code)
    yield from variables.observations(code)
    yield from tracking_calls.observations(code)
    yield from results_of_stages.metrics(code)
    yield from results_of_stages.models(code)
    yield from results_of_stages.outputs(code)
    yield from results_of_stages.clock(code)
    yield from results_of_stages.grammar(code)
    yield from project_place.locks(code)
    yield from days.observations(code, proposal)


def _of_packages(
    chosen: Chosen | None, resolved: ResolvedPackages | None, code: PipelineCode | None
) -> Iterator[Observation]:
    text = resolved.text if resolved else ""
    yield from resolved.why_not if resolved else ()
    names = imported_packages.names_of(text) if text else frozenset[str]()
    if text and chosen:
        yield packages.resolved(chosen, text)
        if code:
            yield from imported_packages.imported(code, names)
    if code:
        started = commands_of_stages.programs(code, names)
        # A worker finds programs on its PATH, behind those of the release's environment.
        absent = frozenset(name for name in started if shutil.which(name, path=os.environ.get("PATH")) is None)
        yield from commands_of_stages.absent_programs(started, absent)
