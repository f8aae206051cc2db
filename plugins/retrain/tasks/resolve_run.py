"""The task `resolve_run`: fixes the release, the commit and the raw objects of a run."""

from __future__ import annotations

import logging

from retrain.errors import NoPinError
from retrain.inputs.named_release import named_release
from retrain.results import Resolved
from retrain.run import release
from retrain.run.release import Release
from retrain.run.run_record import counting
from retrain.run.run_spec import RunSpec
from retrain.run.tag_pattern import TagPattern
from retrain.services import Services
from retrain.store.landed_manifest import landed_manifest
from retrain.work import workspace
from retrain.work.environments import release_packages

log = logging.getLogger(__name__)


def resolve_run(
    services: Services, day: str, tag: str | None, dag_run: str, mode: str, refetch: int | None = None
) -> Resolved:
    """Fix the inputs of a run, and keep its manifest in the ledger for the later tasks.

    Args:
        services: the services of the pipeline.
        day: the partition, YYYY-MM-DD.
        tag: the tag or label of the release to run; None for the pinned one.
        dag_run: the id of the DAG run.
        mode: `daily` or `backfill`.
        refetch: how often the day's data was fetched again on purpose, for stages that fetch their own; a number that the day has
            not had yet fetches it again. None for that of the day's run that counts now.

    Raises:
        NoPinError: no release was asked for, and none is pinned.
        TagPatternError: there is no such label, and it is no tag that the pipeline releases.
        UnknownTagError: the origin does not have the tag.
        CommitGoneError: the origin no longer has the commit of the label.
        MovedTagError: the tag points at another commit than when it was first pinned or run.
        NotLandedError: the partition has not landed.
        NoRawDataError: the partition's marker is there, but no objects are.
        OriginConnectionError: the connection of the Git origin does not exist, or does not fit its address.
        OriginError: the Git origin cannot be read.
        SuppliedLockError: the file that `packages.lock` names is missing.
        StoreError: S3 refused or did not answer.
    """
    deployment = services.deployment
    workspace.home().mkdir(parents=True, exist_ok=True)
    chosen = _release(services, tag)
    settings = deployment.run_settings(_refetch(services, day, refetch), release_packages.supplied_sha256(deployment))
    objects = landed_manifest(services.s3, deployment, day, settings)
    spec = RunSpec(deployment.pipeline, day, chosen.tag, chosen.commit, objects.digest)
    services.ledger.put_manifest(spec, objects)
    log.info("%s: release %s (%s), run key %s", day, chosen.tag, chosen.commit, spec.run_key)
    return Resolved.of(spec, dag_run, mode)


def _refetch(services: Services, day: str, asked: int | None) -> int:
    """The counter `refetch` of the run; 0 for a pipeline without stages that fetch their own data."""
    if not services.deployment.fetch:
        if asked:
            log.warning(
                "refetch is %d, but no stage is under fetch in the pipeline's file: nothing is fetched again, and the run key "
                "does not change. Name the stage there.",
                asked,
            )
        return 0
    if asked is not None:
        return asked
    ledger, pipeline = services.ledger, services.pipeline
    counts = counting(ledger.records(pipeline, day), ledger.counts(pipeline, day))
    return ledger.manifest(counts[-1].spec).settings.refetch if counts else 0


def _release(services: Services, tag: str | None) -> Release:
    """The release with this tag or label, else the pinned one, after a check that the origin still has its first commit."""
    deployment, pin = services.deployment, services.pins.pin(services.pipeline)
    pattern = TagPattern.of(deployment)
    if tag is None and pin is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {release.variable(services.pipeline)} is not set. {pattern.advice}"
        )
    name = tag or (pin.live.tag if pin else "")
    with services.origin() as origin:
        known = (services.ledger, services.pipeline)
        return named_release(origin, pattern, *known, name, pin=pin, mirrors=workspace.mirrors())
