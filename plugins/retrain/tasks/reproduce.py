"""The task `reproduce`: runs `dvc repro` on the run's commit in a new workspace."""

from __future__ import annotations

import logging

from retrain.errors import DvcLockError
from retrain.inputs.prepared import RawObjects, prepare
from retrain.results import Reproduced, Resolved
from retrain.run.manifest import Manifest
from retrain.services import Services
from retrain.store import s3
from retrain.store.ledger import ENVIRONMENT
from retrain.tasks.dvc_in_workspace import open_dvc
from retrain.tasks.threads import threads
from retrain.work import pipeline_caches, workspace
from retrain.work.dvc import tracked_inputs
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.environments import environment
from retrain.work.file_lock import locked
from retrain.work.workspace import Workspace

log = logging.getLogger(__name__)

_AROUND_REPRO_SECONDS = 1800.0  # for checkout and environment, beside `dvc repro`


def reproduce(services: Services, run: Resolved) -> Reproduced:
    """Check out the run's commit in a new workspace, install the release's environment, and run `dvc repro`.

    A failed attempt removes its workspace. Two runs of one run key wait for each other: the second one finds every stage in
    the cache.

    Raises:
        DiskFullError: too little space is free on the volume.
        FileLockTimeoutError: another run of this run key, or the housekeeping, has not ended in time.
        ReleaseError: the release cannot be checked out, installed or described, or it needs data of a .dvc file.
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
        place = workspace.create(
            deployment.repository.url,
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
    project = place.checkout / deployment.repository.environment
    built = environment.provide(project, workspace.home() / "environments")
    with open_dvc(services, place, built) as dvc:
        dvc.configure(deployment.store, services.credentials.endpoint())
        raw = RawObjects(services.s3, pipeline_caches.raw_cache(services.pipeline))
        prepared = prepare(place.checkout, manifest, dvc, raw)
        tracked_inputs.require_none(prepared.description, run.release)
        done = dvc.repro(prepared.description, deployment.limits.reproduce_minutes * 60.0)
        described = dvc.describe()
    _require_described(described, place)
    place.description.write_text(described.to_json(), encoding="utf-8")
    place.write(ENVIRONMENT, built.frozen.read_text(encoding="utf-8"))
    # A stage from the cache is known to have read the manifest's objects only if the run is recorded.
    if done.executed or not services.ledger.has(run.spec):
        s3.require_unchanged(services.s3, manifest)
    log.info("executed: %s; from the cache: %s", ", ".join(done.executed) or "-", ", ".join(done.cached) or "-")
    return Reproduced(str(place.path), built.identity, threads(), done.stages, round(done.seconds, 1))


def _require_described(described: Description, place: Workspace) -> None:
    """Check that the description names every output of each dvc.lock, so that `push` proves all of them.

    Raises:
        DvcLockError: a dvc.lock is missing, or names an output that the description does not.
    """
    known = {output.md5 for output in described.outputs}
    for file in sorted({"dvc.yaml", *(stage.file for stage in described.stages if stage.reached)}):
        lock = (place.checkout / file).with_suffix(".lock")
        if not lock.is_file():
            raise DvcLockError(
                f"{lock.name} of {file} is missing after dvc repro: no stage was run. Add a stage in a new release."
            )
        # `dvc repro` does not touch stages that it does not reach; a frozen one stays in dvc.lock.
        left = {each.name.rpartition(":")[2] for each in described.stages if each.file == file and not each.reached}
        for stage, path, md5 in dvc_lock_outputs(lock.read_text(encoding="utf-8")):
            if md5 not in known and stage not in left:
                raise DvcLockError(
                    f"{lock.name} of {file} has {path} of stage {stage} ({md5}), which is not in DVC's description of the "
                    "checkout. Remove stages that no longer exist from it in a new release."
                )
