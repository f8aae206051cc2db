"""The task `record_run`: records a finished run in the ledger, which MLflow then mirrors."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from retrain.results import Pushed, Recorded, Reproduced, Resolved
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.store import ledger_facts
from retrain.store.cached_objects import objects_of
from retrain.store.ledger import DESCRIPTION, ENVIRONMENT
from retrain.tasks.reproduced_workspace import description_of, workspace_of
from retrain.tracking import tracked_run
from retrain.tracking.tracked_run import TrackedRun
from retrain.work import pipeline_caches

log = logging.getLogger(__name__)


def record_run(services: Services, run: Resolved, reproduced: Reproduced, pushed: Pushed) -> Recorded:
    """Write the run's ledger entry and its events, then its MLflow run and model version.

    A second call for the same run key finds all of these and adds nothing.

    Raises:
        LedgerConflictError: the ledger has an entry of this run key with other outputs.
        UnprovenPushError: the receipt does not prove every output of this attempt.
        ReportError: a metrics file or a model that dvc.yaml declares is missing or cannot be read.
        StoreError: S3 refused or did not answer.
        TrackingError: MLflow refused or did not answer. The ledger has the run; clear the task.
    """
    spec, place, ledger = run.spec, workspace_of(reproduced), services.ledger
    described = description_of(place)
    receipt = ledger.receipt(spec, pushed.receipt)
    receipt.require(objects_of(described.stored, pipeline_caches.dvc_cache(services.pipeline)))
    manifest = ledger.manifest(spec)
    record = RunRecord(
        **spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run=run.dag_run,
        mode=run.mode,
        environment=reproduced.environment,
        threads=reproduced.threads,
        raw_versioned=manifest.versioned,
        outputs={output.path: output.md5 for output in described.outputs},
        metrics=described.metric_values(),
        objects=pushed.objects,
        size=pushed.bytes,
    )
    files = {
        "dvc.lock": (place.project / "dvc.lock").read_text(encoding="utf-8"),
        "run.yaml": spec.run_yaml(),
        ENVIRONMENT: (place.path / ENVIRONMENT).read_text(encoding="utf-8"),
        DESCRIPTION: described.to_json(),
    }
    new = ledger.commit(record, files, receipt)
    log.info("run %s is %s", spec.run_key, "committed" if new else "already committed, with the same outputs")
    ledger_facts.note_stages(
        ledger, spec, place.path.name, reproduced.stages, environment=reproduced.environment, dag_run=run.dag_run
    )
    ledger_facts.note_stored(ledger, spec)
    if ledger_facts.count(ledger, spec, run.dag_run, run.mode):
        log.info("of the runs of %s, this one counts now", spec.partition)
    tracked = TrackedRun(
        spec=spec,
        dag_run=run.dag_run,
        mode=run.mode,
        environment=reproduced.environment,
        metrics=record.metrics,
        raw_url=manifest.root,
        described=described,
        checkout=place.project,
        receipt=place.write("receipt.json", receipt.to_json()),
    )
    where = tracked_run.record(services.tracking, services.deployment, tracked)
    ledger_facts.mirror(ledger, spec, where)
    return Recorded(
        new, where.run_id, where.experiment_id, where.model_version, tracked_run.address(where), record.metrics
    )
