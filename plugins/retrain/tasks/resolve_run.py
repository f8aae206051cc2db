"""The task `resolve_run`: fixes the release, the commit and the raw objects of a run."""

from __future__ import annotations

import logging

from retrain.errors import NoPinError
from retrain.results import Resolved
from retrain.run import manifest, partition, release
from retrain.run.raw_layout import RawLayout
from retrain.run.release import Release
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import ledger_facts, s3
from retrain.work import git, workspace

log = logging.getLogger(__name__)


def resolve_run(services: Services, day: str, tag: str | None, dag_run: str, mode: str) -> Resolved:
    """Fix the inputs of a run, and keep its manifest in the ledger for the later tasks.

    Args:
        services: the services of the pipeline.
        day: the partition, YYYY-MM-DD.
        tag: the release to run, vX.Y.Z; None for the pinned one.
        dag_run: the id of the DAG run.
        mode: `daily` or `backfill`.

    Raises:
        NoPinError: no release was asked for, and none is pinned.
        UnknownTagError: the origin does not have the tag.
        MovedTagError: the tag points at another commit than when it was first pinned or run.
        NoRawDataError: the partition's marker is there, but no objects are.
        OriginError: the Git origin cannot be read.
        StoreError: S3 refused or did not answer.
    """
    deployment = services.deployment
    workspace.home().mkdir(parents=True, exist_ok=True)
    chosen = _release(services, tag)
    days = partition.window(day, deployment.raw.window_days)
    layout, root = RawLayout.of(deployment.raw), deployment.raw.url
    listing = s3.list_versions(services.s3, root, *layout.listing_range(days))
    objects = manifest.of_listing(services.pipeline, day, root, days, listing, layout, deployment.run_settings())
    spec = RunSpec(deployment.pipeline, day, chosen.tag, chosen.commit, objects.digest)
    services.ledger.put_manifest(spec, objects)
    landed = f"{objects.days} of {len(days)} days landed"
    log.info("%s: %s, release %s (%s), run key %s", day, landed, chosen.tag, chosen.commit, spec.run_key)
    return Resolved.of(spec, dag_run, mode)


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
