"""The task `push`: sends a run's objects to the remote, with a receipt as proof."""

from __future__ import annotations

import logging

from retrain.results import Pushed, Reproduced, Resolved
from retrain.services import Services
from retrain.store import proving
from retrain.store.cached_objects import objects_of
from retrain.tasks.dvc_in_workspace import open_dvc
from retrain.tasks.reproduced_workspace import description_of, environment_of, workspace_of

log = logging.getLogger(__name__)


def push(services: Services, run: Resolved, reproduced: Reproduced) -> Pushed:
    """Run `dvc push`, check that the remote holds every object that dvc.lock needs, and keep the receipt in the ledger.

    Objects that an earlier receipt of this remote proves are not downloaded again.

    Raises:
        PushError: `dvc push` failed.
        UnprovenPushError: even after objects were uploaded again, the remote lacks some or holds other bytes.
        LostObjectError: an object is neither in the cache nor on the remote.
        CorruptCacheError: an object in the cache has another content than its name says.
        StoreError: S3 refused or did not answer.
    """
    spec, place = run.spec, workspace_of(reproduced)
    described = description_of(place)
    earlier = services.ledger.earlier_receipt(spec.pipeline, spec.partition)
    proven_before = earlier.by_key if earlier and earlier.remote == services.deployment.store else {}
    with open_dvc(services, place, environment_of(reproduced)) as dvc:
        objects = objects_of(described.stored, dvc.cache)
        left_out = {each.key for each in objects_of(described.left_out, dvc.cache)}
        proven = proving.push_and_prove(dvc.push, services.remote, objects, dvc.cache, proven_before, left_out=left_out)
    proven.receipt.require([output.item for output in described.stored])
    name = services.ledger.put_receipt(spec, proven.receipt)
    count, size = len(proven.receipt.proofs), proven.receipt.size
    log.info("%d objects, %d bytes proven on %s", count, size, services.deployment.store)
    log.info("%d sent, %d healed, %d requests, %.1f s", proven.sent, proven.healed, proven.requests, proven.seconds)
    return Pushed(name, count, size, proven.sent, proven.healed, proven.requests, proven.seconds)
