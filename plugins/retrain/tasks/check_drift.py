"""The task `check_drift`: judges the day's drift and the model's error by the days before it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from retrain.alerts import verdicts
from retrain.alerts.facts import RunFacts
from retrain.alerts.tell import tell
from retrain.deployment.policies import Drift, Performance
from retrain.judge import error_picture, judged_days
from retrain.judge.judged_days import Judged
from retrain.judge.verdict import State
from retrain.results import Checked, Recorded, Reproduced, Resolved
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import promotions
from retrain.store.ledger import Ledger
from retrain.tasks.reproduced_workspace import workspace_of

log = logging.getLogger(__name__)


def check_drift(
    services: Services, run: Resolved, reproduced: Reproduced, recorded: Recorded, log_url: str
) -> Checked | None:
    """Judge the run's day, keep it in the ledger, and write a signal with each verdict for the watch.

    The days of a backfill, and a day after which a later one was judged, are judged and kept without signals.

    Args:
        services: the services of the pipeline.
        run: the run.
        reproduced: its workspace, with the drift report and the metrics file.
        recorded: its MLflow run, which the message links to.
        log_url: the address of this task's log.

    Returns:
        the verdicts; None if the pipeline's file has neither of the sections `drift` and `performance`.

    Raises:
        ReportError: a file that the pipeline's file names is missing, or breaks its contract.
        StoreError: S3 refused or did not answer.
    """
    deployment, spec = services.deployment, run.spec
    if deployment.drift is None and deployment.performance is None:
        return None
    checkout = workspace_of(reproduced).project
    stands = bool(recorded.not_repeatable)
    judged = judged_days.judge_day(deployment, services.ledger, spec, checkout, first_stands=stands)
    for verdict in filter(None, (judged.drift, judged.performance)):
        log.info("%s: %s %s", verdict.state, " ".join(verdict.reasons) or "nothing unusual.", verdict.confidence_reason)
    told = not run.is_backfill and judged.newest
    if told:
        links = RunFacts(log_url=log_url, mlflow_url=recorded.url)
        if deployment.drift:
            _tell_drift(spec, judged, deployment.drift, checkout, links)
        if deployment.performance:
            _tell_performance(spec, judged, deployment.performance, services.ledger, links)
    return Checked(judged.drift, judged.performance, told)


def _tell_drift(spec: RunSpec, judged: Judged, policy: Drift, checkout: Path, links: RunFacts) -> None:
    """Write the signal, with the pipeline's own picture if the day is in alert."""
    verdict = judged.drift
    if verdict is None:
        return
    pictures = {}
    if policy.picture and verdict.state is State.ALERT and (checkout / policy.picture).is_file():
        pictures[f"{spec.partition}-{spec.run_key[:12]}-drift.png"] = (checkout / policy.picture).read_bytes()
    shown = tuple((name, f"Drift on {spec.partition}: reference against current") for name in pictures)
    tell(verdicts.of_drift(spec, verdict, links, _now(), shown), pictures)


def _tell_performance(spec: RunSpec, judged: Judged, policy: Performance, ledger: Ledger, links: RunFacts) -> None:
    """Write the signal, with a picture of the last weeks if the day is in alert."""
    verdict = judged.performance
    if verdict is None:
        return
    pictures = {}
    if verdict.state is State.ALERT:
        promoted = promotions.partitions(ledger, spec.pipeline, judged.days[0].partition, spec.partition)
        drawn = error_picture.draw(judged.days, judged.errors, judged.releases, promoted, policy.unit)
        pictures[f"{spec.partition}-{spec.run_key[:12]}-error.png"] = drawn
    shown = tuple((name, f"{verdict.metric} of the last weeks") for name in pictures)
    tell(verdicts.of_performance(spec, verdict, links, _now(), shown), pictures)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
