"""The task `resolve_run`: fixes the release, the commit and the raw objects of a run."""

from __future__ import annotations

import logging

from retrain.errors import NoPinError
from retrain.results import Resolved
from retrain.run import release
from retrain.run.release import Release
from retrain.run.run_record import counting
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import ledger_facts
from retrain.store.landed_manifest import landed_manifest
from retrain.work import git, workspace

log = logging.getLogger(__name__)


def resolve_run(
    services: Services, day: str, tag: str | None, dag_run: str, mode: str, refetch: int | None = None
) -> Resolved:
    """Fix the inputs of a run, and keep its manifest in the ledger for the later tasks.

    Args:
        services: the services of the pipeline.
        day: the partition, YYYY-MM-DD.
        tag: the release to run, vX.Y.Z; None for the pinned one.
        dag_run: the id of the DAG run.
        mode: `daily` or `backfill`.
        refetch: how often the day's data was fetched again on purpose, for stages that fetch their own; a number that the day has
            not had yet fetches it again. None for that of the day's run that counts now.

    Raises:
        NoPinError: no release was asked for, and none is pinned.
        UnknownTagError: the origin does not have the tag.
        MovedTagError: the tag points at another commit than when it was first pinned or run.
        NotLandedError: the partition has not landed.
        NoRawDataError: the partition's marker is there, but no objects are.
        OriginError: the Git origin cannot be read.
        StoreError: S3 refused or did not answer.
    """
    deployment = services.deployment
    workspace.home().mkdir(parents=True, exist_ok=True)
    chosen = _release(services, tag)
    settings = deployment.run_settings(_refetch(services, day, refetch))
    objects = landed_manifest(services.s3, deployment, day, settings)
    spec = RunSpec(deployment.pipeline, day, chosen.tag, chosen.commit, objects.digest)
    services.ledger.put_manifest(spec, objects)
    log.info("%s: release %s (%s), run key %s", day, chosen.tag, chosen.commit, spec.run_key)
    return Resolved.of(spec, dag_run, mode)


def _refetch(services: Services, day: str, asked: int | None) -> int:
    """The counter `refetch` of the run; 0 for a pipeline without stages that fetch their own data."""
    if not services.deployment.fetch:
        return 0
    if asked is not None:
        return asked
    ledger, pipeline = services.ledger, services.pipeline
    counts = counting(ledger.records(pipeline, day), ledger.counts(pipeline, day))
    return ledger.manifest(counts[-1].spec).settings.refetch if counts else 0


def _release(services: Services, tag: str | None) -> Release:
    """The release with `tag`, else the pinned one, after a check that its tag still names its first commit."""
    origin, pin = services.deployment.repository.url, services.pins.pin(services.pipeline)
    if tag is None and pin is None:
        raise NoPinError(
            f"No release is pinned: the Airflow Variable {release.variable(services.pipeline)} is not set. "
            "Run: make release TAG=vX.Y.Z"
        )
    wanted = tag or (pin.live.tag if pin else "")
    at_origin = Release(wanted, git.commit_of_tag(origin, wanted, cwd=workspace.home()))
    if tag is None and pin is not None:
        release.confirm(pin.live, at_origin.commit)
    return ledger_facts.fix_tag(services.ledger, services.pipeline, at_origin, pin)
