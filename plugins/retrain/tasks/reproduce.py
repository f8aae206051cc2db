"""The task `reproduce`: runs `dvc repro` on the run's commit in a new workspace."""

from __future__ import annotations

import logging

from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.inputs.prepared import lines
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.reproduced_day import reproduce_day
from retrain.results import Reproduced, Resolved
from retrain.run.manifest import Manifest
from retrain.services import Services
from retrain.store import s3
from retrain.store.ledger import ENVIRONMENT
from retrain.tasks.dvc_in_workspace import open_dvc
from retrain.tasks.reproduced_workspace import MANIFEST
from retrain.work import pipeline_caches, workspace
from retrain.work.environments import environment, release_packages
from retrain.work.file_lock import locked
from retrain.work.threads import threads
from retrain.work.workspace import Workspace

log = logging.getLogger(__name__)

_AROUND_REPRO_SECONDS = 1800.0  # for checkout and environment, beside `dvc repro`


def reproduce(services: Services, run: Resolved) -> Reproduced:
    """Check out the run's commit in a new workspace, install the release's environment, and run `dvc repro`.

    A failed attempt removes its workspace. Two runs of one run key wait for each other: the second one finds every stage in
    the cache.

    Raises:
        DiskFullError: too little space is free on the volume.
        OriginError: the Git origin, a submodule or a file in Git LFS cannot be read.
        FileLockTimeoutError: another run of this run key, or the housekeeping, has not ended in time.
        ReleaseError: the release cannot be checked out, installed or described, it does not lead to the data of a .dvc file, or its model does
            not depend on the day.
        RetrainError: an input cannot be laid, or a param cannot be set, as `prepare` says; or tracked data cannot be fetched.
        StageSecretError: a secret of the stages does not exist.
        MissingProgramError: the worker lacks a program that a stage starts.
        RetrainError: a stage failed; the class names the cause if the output shows it.
        DvcLockError: a dvc.lock is missing, or does not fit DVC's description of the checkout.
        OverwrittenError: raw objects were overwritten since the run was resolved.
    """
    deployment, spec, home = services.deployment, run.spec, workspace.home()
    workspace.require_space(home, deployment.limits.min_free_disk_mb)
    manifest = services.ledger.manifest(spec)
    with locked(
        home / "locks" / f"{spec.pipeline}-{spec.run_key}",
        what=f"another run of {spec.partition} with the same run key",
        timeout=deployment.limits.reproduce_minutes * 60.0 + _AROUND_REPRO_SECONDS,
    ):
        with services.origin() as origin:
            place = workspace.create(
                origin,
                spec,
                manifest,
                dag_run=run.dag_run,
                min_free_mb=deployment.limits.min_free_disk_mb,
            )
        try:
            with pipeline_caches.in_use(spec.pipeline):
                return _run_stages(services, run, place, manifest)
        except BaseException:
            workspace.discard(place)
            raise


def _run_stages(services: Services, run: Resolved, place: Workspace, manifest: Manifest) -> Reproduced:
    deployment = services.deployment
    defined = release_packages.of_release(deployment, place.checkout, manifest.settings)
    built = environment.of_definition(defined, workspace.home() / "environments")
    with open_dvc(services, place, built, manifest.settings) as dvc:
        dvc.configure(deployment.store, services.credentials.endpoint())
        raw = RawObjects(services.s3, pipeline_caches.raw_cache(services.pipeline))
        timeout = deployment.limits.reproduce_minutes * 60.0
        kept = FetchedOutputs(services.ledger, run.spec, services.remote)
        day = reproduce_day(
            place.project,
            manifest,
            dvc,
            raw,
            services.tracked,
            release=run.release,
            static=deployment.static,
            timeout=timeout,
            kept=kept,
        )
    done = day.done
    place.description.write_text(day.description.to_json(), encoding="utf-8")
    place.write(MANIFEST, manifest.to_json())
    place.write(ENVIRONMENT, built.frozen.read_text(encoding="utf-8"))
    # A stage from the cache is known to have read the manifest's objects only if the run is recorded.
    if done.executed or not services.ledger.has(run.spec):
        s3.require_unchanged(services.s3, manifest)
    log.info("executed: %s; from the cache: %s", ", ".join(done.executed) or "-", ", ".join(done.cached) or "-")
    seconds = round(done.seconds, 1)
    return Reproduced(str(place.path), built.identity, threads(), done.stages, seconds, tuple(lines(day.prepared)))
