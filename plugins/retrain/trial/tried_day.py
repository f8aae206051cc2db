"""Runs one real day on trial: the code path of a daily run up to its push, in folders of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Raw
from retrain.errors import NotLandedError, ReportError
from retrain.inputs import fetch_stages, tracked_data
from retrain.inputs.prepared import prepare
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.reproduced_day import ReproducedDay, reproduce_day
from retrain.inputs.stage_graph import StageGraph
from retrain.inputs.tracked_data import TrackedSources
from retrain.judge import judged_days
from retrain.run import partition
from retrain.run.landed import LandingRule, data_by_day
from retrain.run.manifest import Manifest
from retrain.run.run_spec import RunSpec
from retrain.run.tag_pattern import TagPattern
from retrain.store import raw_landing, s3
from retrain.store.cached_objects import objects_of
from retrain.store.labels import labelled
from retrain.store.landed_manifest import landed_manifest
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.trial.trial_commit import TrialCommit, trial_commit
from retrain.work import pipeline_caches, workspace
from retrain.work.dvc.description import Description
from retrain.work.dvc.opened import opened
from retrain.work.dvc.second_run import SecondRun
from retrain.work.environments import environment, release_packages
from retrain.work.service_credentials import Credentials
from retrain.work.workspace import Workspace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NEVER_PUSHED = "s3://a-trial-never-pushes/dvc"
_NAMED_KEYS = 3


@dataclass(frozen=True)
class TriedDay:
    """A day that would be green up to its push.

    `fetching` are the stages that fetch their own data: they run once for each run key. `second_run` has all stages in DVC's order.
    `objects` and `bytes` are what `dvc push` would send to an empty store.
    """

    chosen: TrialCommit
    manifest: Manifest
    day: ReproducedDay
    fetching: frozenset[str]
    second_run: tuple[SecondRun, ...]
    objects: int
    bytes: int


def try_day(
    deployment: Deployment,
    credentials: Credentials,
    day: str,
    name: str | None,
    *,
    keep: bool,
    say: Callable[[str], None],
) -> TriedDay:
    """Run a day as `reproduce` does, check its files as the tasks after it do, and ask DVC what a second run would skip.

    Of the shared folders only the Git mirrors, the environments and the raw cache are written to. S3 and the release's own remotes are
    only read.

    Args:
        deployment: the pipeline's file.
        credentials: access to S3.
        day: the partition, YYYY-MM-DD.
        name: a tag, a branch or a commit of the origin, or a label; None for the newest release tag.
        keep: leave the workspace where it is, also after a failure.
        say: called with a sentence at each step.

    Raises:
        PartitionError: `day` is not a date.
        NotLandedError: the day has not landed.
        NoRawDataError: it has only its marker.
        ReleaseError: there is no such commit, or it cannot be checked out, installed or described.
        StageSecretError: a secret of the stages does not exist.
        RetrainError: a stage failed, with the error that the daily run would end with.
        ReportError: a file that dvc.yaml or the pipeline's file names is missing or cannot be read.
    """
    partition.parse(day)
    workspace.home().mkdir(parents=True, exist_ok=True)
    workspace.require_space(workspace.home(), deployment.limits.min_free_disk_mb)
    credentials.stage_secrets()  # refused before anything is fetched
    client = credentials.s3()
    manifest = _landed(client, deployment, day)
    size = sum(item.size for item in manifest.objects)
    objects = "1 raw object" if len(manifest.objects) == 1 else f"{len(manifest.objects)} raw objects"
    say(f"{objects}, {size:,} bytes.")
    with _place(deployment.pipeline, day, keep=keep, say=say) as place:
        second = Workspace(place.scratch("second"))
        label = partial(labelled, Ledger(client, deployment.ledger), deployment.pipeline)
        with credentials.origin() as origin:
            where = (workspace.mirrors(), deployment.repository.folder)
            chosen = trial_commit(origin, name, *where, TagPattern.of(deployment), label)
            say(f"{chosen.name} is {chosen.commit}.")
            spec = RunSpec(deployment.pipeline, manifest.partition, chosen.name, chosen.commit, manifest.digest)
            for each in (place, second):
                workspace.check_out(each, chosen.mirror, origin, spec, manifest)
        with pipeline_caches.in_use(deployment.pipeline):
            return _run(deployment, credentials, client, (place, second), chosen, manifest, say)


def _run(
    deployment: Deployment,
    credentials: Credentials,
    client: S3Client,
    places: tuple[Workspace, Workspace],
    chosen: TrialCommit,
    manifest: Manifest,
    say: Callable[[str], None],
) -> TriedDay:
    pipeline, (place, second) = deployment.pipeline, places
    say("Installing the environment.")
    defined = release_packages.of_release(deployment, place.checkout, manifest.settings)
    built = environment.of_definition(defined, workspace.home() / "environments")
    raw = RawObjects(client, pipeline_caches.raw_cache(pipeline))
    tracked = TrackedSources(Remote(client, deployment.store), credentials.remotes)
    with opened(credentials, pipeline, place, built, place.path / "cache", manifest.settings) as dvc:
        say("Running dvc repro.")
        dvc.configure(_NEVER_PUSHED, credentials.endpoint())
        timeout = deployment.limits.reproduce_minutes * 60.0
        done = reproduce_day(
            place.project,
            manifest,
            dvc,
            raw,
            tracked,
            release=chosen.name,
            static=deployment.static,
            timeout=timeout,
            kept=None,
        )
        s3.require_unchanged(client, manifest)
        _require_files(deployment, manifest.partition, done.description, place.project)
        objects = objects_of(done.description.stored, dvc.cache)
        say("Asking DVC about a second run.")
        again = replace(dvc, checkout=second.project).aimed(manifest.settings)
        again.configure(_NEVER_PUSHED, credentials.endpoint())
        prepared = prepare(second.project, manifest, again, raw)
        described = tracked_data.bring(again, prepared.description, tracked, chosen.name, timeout).description
        fetching = fetch_stages.named(StageGraph.of(described), deployment.fetch)
        answers = again.second_run(described, place.project, fetching)
    workspace.discard(second)
    size = sum((dvc.cache / item.key).stat().st_size for item in objects)
    return TriedDay(chosen, manifest, done, fetching, answers, len(objects), size)


@contextmanager
def _place(pipeline: str, day: str, *, keep: bool, say: Callable[[str], None]) -> Iterator[Workspace]:
    """A new workspace, which is removed at the end unless it is kept. The housekeeping removes one that was left."""
    place = workspace.new_attempt(pipeline, f"try-{day}", "try")
    try:
        yield place
    finally:
        if keep:
            say(f"Kept: {place.path}")
        else:
            workspace.discard(place)
            with suppress(OSError):  # another trial of the day still runs, or was kept
                place.path.parent.rmdir()


def _landed(client: S3Client, deployment: Deployment, day: str) -> Manifest:
    try:
        settings = deployment.run_settings(lock=release_packages.supplied_sha256(deployment))
        return landed_manifest(client, deployment, day, settings)
    except NotLandedError as error:
        if deployment.raw is None:
            raise
        raise NotLandedError(_why_not_landed(client, deployment.raw, day)) from error


def _why_not_landed(client: S3Client, raw: Raw, day: str) -> str:
    rule = LandingRule.of(raw)
    listing, _ = raw_landing.listing_of(client, raw.url, rule, [day])
    found = len(data_by_day(rule.layout, listing).get(day, ()))
    awaited = f"{day} has not landed. Awaited: {rule.awaited(raw.url, day)}"
    if found:
        return f"{awaited}. {found} of its objects are there already. Wait for the producer, or correct raw.marker or raw.quiet_minutes."
    first, _ = s3.page(client, raw.url, "", _NAMED_KEYS)
    seen = f"The first keys below {raw.url}: {', '.join(first)}" if first else f"Nothing is below {raw.url}"
    return f"{awaited}. None of its objects is there. {seen}. Choose another day, or correct raw.partition or raw.url."


def _require_files(deployment: Deployment, day: str, described: Description, checkout: Path) -> None:
    """Check the files that the tasks after `push` read: those of dvc.yaml, and those that the pipeline's file names.

    Raises:
        ReportError: one is missing, or breaks its contract.
    """
    described.metric_values()
    models = described.models if deployment.tracking.model else ()
    described.existing([*described.metrics, *described.plots, *models], checkout)
    judged_days.read_day(deployment, day, checkout)
    promotion = deployment.promotion
    named = {"promotion.rows": promotion.rows, "promotion.metrics": promotion.metrics} if promotion else {}
    for key, path in named.items():
        if not (checkout / path).exists():
            raise ReportError(
                f"{key} of the pipeline's file names {path}, which does not exist after dvc repro. Correct the key, or the stage."
            )
