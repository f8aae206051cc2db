"""The task `record_run`: records a finished run in the ledger, which MLflow then mirrors."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from retrain.archive import recorded_locks
from retrain.results import Pushed, Recorded, Reproduced, Resolved
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.store import ledger_facts
from retrain.store.cached_objects import objects_of
from retrain.store.errors import OtherOutputsError
from retrain.store.ledger import DESCRIPTION, ENVIRONMENT
from retrain.tasks import first_record
from retrain.tasks.reproduced_workspace import description_of, workspace_of
from retrain.tracking import tracked_run
from retrain.tracking.tracked_run import TrackedRun
from retrain.work import pipeline_caches

log = logging.getLogger(__name__)


def record_run(services: Services, run: Resolved, reproduced: Reproduced, pushed: Pushed) -> Recorded:
    """Write the run's ledger entry and its events, then its MLflow run and model version.

    A second call for the same run key finds all of these and adds nothing. If a stage of this attempt gave other bytes than that
    of the first one, the first record stands: the workspace gets the recorded outputs, which MLflow and the later tasks use.

    Raises:
        LedgerConflictError: the ledger has an entry of this run key with other outputs, made in another environment or of other inputs.
        RecordedOutputsGoneError: a stage did not repeat itself, and the recorded outputs are gone.
        RecordError: a document of the entry cannot be read.
        UnprovenPushError: the receipt does not prove every output of this attempt.
        ReportError: a metrics file or a model that dvc.yaml declares is missing or cannot be read.
        StoreError: S3 refused or did not answer.
        TrackingError: MLflow refused or did not answer. The ledger has the run; clear the task.
    """
    spec, place, ledger = run.spec, workspace_of(reproduced), services.ledger
    manifest = ledger.manifest(spec)
    new, found = False, first_record.known(place)
    if found is None:
        try:
            new = _commit(services, run, reproduced, pushed, manifest)
            log.info("run %s is %s", spec.run_key, "committed" if new else "already committed, with the same outputs")
        except OtherOutputsError as other:
            found = first_record.find(services, run, place, other.kept)
    if found is not None:
        log.warning("%s", found.note)
        first_record.put_back(services, place, spec, found)
    ledger_facts.note_stages(
        ledger, spec, place.path.name, reproduced.stages, environment=reproduced.environment, dag_run=run.dag_run
    )
    ledger_facts.note_stored(ledger, spec)
    if ledger_facts.count(ledger, spec, run.dag_run, run.mode):
        log.info("of the runs of %s, this one counts now", spec.partition)
    record, described = ledger.recorded(spec), description_of(place)
    shown = described if found is None else tracked_run.present_in(described, place.project)
    folder = place.checkout / manifest.settings.folder
    tracked = TrackedRun(
        spec=spec,
        dag_run=run.dag_run,
        mode=run.mode,
        environment=reproduced.environment,
        metrics=record.metrics,
        raw_url=manifest.root,
        described=shown,
        checkout=place.project,
        documents=(
            folder / "run.yaml",
            folder / "manifest.json",
            place.write("receipt.json", ledger.committed_receipt(record).to_json()),
        ),
        locks=tuple(recorded_locks.written(described, place.project)),
    )
    where = tracked_run.record(services.tracking, services.deployment, tracked)
    lost = described.models and not shown.models
    version = _registered(services, spec.run_key) if lost else where.model_version
    ledger_facts.mirror(ledger, spec, replace(where, model_version=version))
    note = found.note if found else ""
    if lost:
        note = f"{note} Its model is not stored (cache: false or push: false), so it is not promoted."
    return Recorded(
        new,
        where.run_id,
        where.experiment_id,
        where.model_version,
        tracked_run.address(where),
        record.metrics,
        found.stages if found else (),
        note,
    )


def _registered(services: Services, run_key: str) -> str | None:
    """The version that an earlier attempt has registered, whose model this one does not have."""
    model = services.deployment.tracking.model
    return services.tracking.version_of(model, run_key) if model else None


def _commit(services: Services, run: Resolved, reproduced: Reproduced, pushed: Pushed, manifest: Manifest) -> bool:
    """Write the entry of this attempt; False if an earlier one has written it, with the same outputs."""
    spec, place, ledger = run.spec, workspace_of(reproduced), services.ledger
    described = description_of(place)
    receipt = ledger.receipt(spec, pushed.receipt)
    receipt.require(objects_of(described.stored, pipeline_caches.dvc_cache(services.pipeline)))
    record = RunRecord(
        **spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run=run.dag_run,
        mode=run.mode,
        environment=reproduced.environment,
        threads=reproduced.threads,
        raw_versioned=manifest.versioned,
        outputs={output.path: output.md5 for output in described.outputs},
        # Of a recorded run the recorded metrics count, whatever a stage that does not repeat itself has measured now.
        metrics=described.metric_values() if ledger.committed(spec) is None else {},
        objects=pushed.objects,
        size=pushed.bytes,
    )
    locks = recorded_locks.written(described, place.project)
    files = {
        **{recorded_locks.document_of(path): text for path, text in locks.items()},
        "run.yaml": spec.run_yaml(),
        ENVIRONMENT: (place.path / ENVIRONMENT).read_text(encoding="utf-8"),
        DESCRIPTION: described.to_json(),
    }
    return ledger.commit(record, files, receipt)
