"""Replaying a recorded day: it is computed again from its raw bytes without any cache, and compared with the record."""

from __future__ import annotations

import tempfile
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from retrain.archive import entry, recorded_environment, recorded_locks, stage_differences
from retrain.deployment.pipeline_file import Deployment
from retrain.inputs import fetch_stages, fetching, tracked_data
from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.inputs.prepared import prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.stage_graph import StageGraph
from retrain.inputs.tracked_data import TrackedSources
from retrain.run.release import Release
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, s3
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.work import git, run_environment
from retrain.work.dvc import deployment_dvc
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.project_root import project_root
from retrain.work.dvc.repeatability import why_not_repeatable
from retrain.work.service_credentials import Credentials
from retrain.work.stage_variables import StageVariables
from retrain.work.whole_checkout import whole_checkout


@dataclass(frozen=True)
class Compared:
    """One output with its recorded and its recomputed MD5; None where the record or the replay has no such output."""

    path: str
    recorded: str | None
    recomputed: str | None

    @property
    def same(self) -> bool:
        return self.recorded == self.recomputed


class ReplayVerdict(StrEnum):
    """How the outputs of a stage compare with the record.

    `taken`: the stage fetches its own data, so it was not run and its outputs came from the record. `not_repeatable`: they are others,
    from the recorded inputs, and DVC or the ledger knows that the stage does not repeat itself. `consequence`: they are others, and the
    stage needs one with other outputs. `different`: they are others, and nothing says why, or the stage read something else than was
    recorded.
    """

    IDENTICAL = "identical"
    TAKEN = "taken"
    NOT_REPEATABLE = "not_repeatable"
    CONSEQUENCE = "consequence"
    DIFFERENT = "different"


@dataclass(frozen=True)
class ReplayedStage:
    """A stage with its verdict, and the reason for it; empty for an identical one."""

    name: str
    verdict: ReplayVerdict
    reason: str = ""


@dataclass(frozen=True)
class Replayed:
    """A replayed run: every output and every stage compared, and the duration of the `dvc repro` in seconds.

    `taken` are the stages that were not computed: they fetch their own data, and their outputs came from the record.
    """

    outputs: tuple[Compared, ...]
    seconds: float
    taken: tuple[str, ...] = ()
    stages: tuple[ReplayedStage, ...] = ()

    @property
    def same(self) -> bool:
        """True if every output is the recorded one."""
        return all(output.same for output in self.outputs)

    @property
    def well(self) -> bool:
        """True if no stage differs but for stages that do not repeat themselves, and no output is only recorded or only recomputed."""
        whole = all(output.recorded and output.recomputed for output in self.outputs)
        return self.same or (whole and all(stage.verdict is not ReplayVerdict.DIFFERENT for stage in self.stages))


def replay(
    record: RunRecord,
    ledger: Ledger,
    deployment: Deployment,
    credentials: Credentials,
    *,
    tools: Path,
    scratch: Path | None = None,
) -> Replayed:
    """Compute a run again and compare every output with the record. Nothing is pushed. Stages that fetch their own data are not run.

    The environment of the stages is installed anew.

    Args:
        record: the run.
        ledger: the ledger that holds its entry. Its client also reads the raw objects, by their version ids.
        deployment: the pipeline's file.
        credentials: access to the raw objects, and the secrets of the stages.
        tools: the folder with the environment of the deployment's own DVC, which is installed there if it is not.
        scratch: the folder in which the workspace is made and removed again; the system's by default.

    Raises:
        GoneError: what a stage fetched for the run is gone. Nothing was computed.
        OverwrittenError: raw objects were overwritten in a bucket that keeps no versions. Nothing was computed.
        TrackedGoneError: data that a .dvc file or a frozen stage tracks is not in our store any more. Nothing was computed.
        EnvironmentGoneError: a package of its environment is not available any more; the day can still be restored.
        StageSecretError: a secret of the stages does not exist any more.
        RetrainError: a stage failed, with the error that the daily run would end with.
    """
    repository = deployment.repository
    manifest = ledger.manifest(record.spec)
    s3.require_unchanged(ledger.client, manifest)
    with tempfile.TemporaryDirectory(prefix="replay-", dir=scratch) as folder:
        place = Path(folder)
        checkout = place / "checkout"
        with credentials.origin() as origin:
            release, top = Release(record.release, record.commit), manifest.settings.folder
            mirror = git.mirror(origin, release, place / "git", folder=top)
            laid = [each.path for each in manifest.settings.inputs]
            whole_checkout(mirror, record.commit, checkout, origin, folder=top, laid=laid)
        project = project_root(checkout, top)
        for name in ("run.yaml", "manifest.json"):
            (checkout / manifest.settings.folder / name).write_bytes(ledger.file(record, name))
        environments = place / "environments"
        built = recorded_environment.provide(record, ledger, repository, environments, credentials)
        own = deployment_dvc.provide(tools)
        run = run_environment.provide(built, place / "run", checkout, manifest.settings.folder)
        variables = StageVariables(manifest.settings.env, credentials.stage_secrets())
        with credentials.child_environment() as access:
            extra = {**access, "RAW_CACHE_DIR": str(place / "raw"), "OMP_NUM_THREADS": str(record.threads)}
            program = Dvc.of(project, built, own, place / "cache", extra, run=run, variables=variables).aimed(
                manifest.settings
            )
            program.configure("s3://replay-never-pushes/dvc", credentials.endpoint())
            prepared = prepare(project, manifest, program, RawObjects(ledger.client, place / "raw"))
            remote = Remote(ledger.client, deployment.store)
            kept = FetchedOutputs(ledger, record.spec, remote)
            fetch, timeout = manifest.settings.fetch, deployment.limits.reproduce_minutes * 60.0
            in_store = {output.path: output.md5 for output in entry.outputs(record, ledger)}
            tracked = TrackedSources(remote, None, in_store)
            before = tracked_data.bring(program, prepared.description, tracked, record.release, timeout).description
            done = fetching.reproduce(program, before, fetch, timeout, kept, again=False)
            taken = fetch_stages.named(StageGraph.of(before), fetch)
            described = program.describe()
        now = {path: text.encode() for path, text in recorded_locks.written(described, project).items()}
    recomputed = {output.path: output.md5 for output in described.outputs}
    graph = StageGraph.of(described)
    changed = stage_differences.differing(graph, record.outputs, recomputed)
    locks = recorded_locks.recorded(record, ledger)
    first = stage_differences.first_of(changed, graph, locks, now)
    inputs = stage_differences.other_inputs(first, graph, locks, now)
    known = ledger_facts.unrepeatable(ledger, record.spec)
    paths = sorted({*record.outputs, *recomputed})
    return Replayed(
        tuple(Compared(path, record.outputs.get(path), recomputed.get(path)) for path in paths),
        done.seconds,
        tuple(sorted(taken)),
        judged(graph, changed, first, inputs, taken, known),
    )


def judged(
    graph: StageGraph,
    changed: frozenset[str],
    first: frozenset[str],
    inputs: Mapping[str, str],
    taken: Container[str],
    known: Container[str],
) -> tuple[ReplayedStage, ...]:
    """The verdict on each stage of a replay, in the order of their names.

    Args:
        graph: the stages that `dvc repro` reaches.
        changed: those with other outputs than the record.
        first: those of them that did not get the difference from another stage.
        inputs: those of `first` that read something else than was recorded, each with it.
        taken: those whose outputs came from the record.
        known: those that the ledger knows not to repeat themselves.
    """
    found = []
    for name, stage in sorted(graph.stages.items()):
        why = why_not_repeatable(stage) or ("an earlier attempt of the day gave other bytes" if name in known else None)
        if name in taken:
            judgement = ReplayedStage(name, ReplayVerdict.TAKEN, "it fetches its own data")
        elif name not in changed:
            judgement = ReplayedStage(name, ReplayVerdict.IDENTICAL)
        elif name in inputs:
            judgement = ReplayedStage(name, ReplayVerdict.DIFFERENT, f"its {inputs[name]} is not as it was recorded")
        elif name in first and why is not None:
            judgement = ReplayedStage(name, ReplayVerdict.NOT_REPEATABLE, why)
        elif name in first:
            judgement = ReplayedStage(name, ReplayVerdict.DIFFERENT, "nothing that it needs from other stages differs")
        else:
            before = ", ".join(sorted(graph.with_needed([name]) & first))
            judgement = ReplayedStage(name, ReplayVerdict.CONSEQUENCE, f"it needs the outputs of {before}")
        found.append(judgement)
    return tuple(found)
