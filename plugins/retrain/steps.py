"""What each of the DAG's tasks does, in the DAG's order. Values between tasks are small and JSON: XCom carries them."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowSkipException

from retrain import (
    dvc,
    environment,
    error_picture,
    git,
    judging,
    manifest,
    partition,
    process,
    promotion,
    proving,
    release,
    s3,
    tracked_run,
    workspace,
)
from retrain.alerts import verdicts
from retrain.alerts.tell import tell
from retrain.connections import Aws
from retrain.deployment import Deployment
from retrain.errors import ReportError, ScoreError
from retrain.ledger import Ledger
from retrain.remote import Remote
from retrain.run_record import RunRecord, live
from retrain.run_spec import RunSpec
from retrain.spell import State
from retrain.tracking import Recorded

log = logging.getLogger(__name__)

BACKFILL = "backfill"
_SCORE_TIMEOUT = 900.0
_DEPLOYMENT_DVC = Path(__file__).resolve().parents[2] / "infra" / "dvc"


def resolve_run(deployment: Deployment, day: str, tag: str | None, dag_run: str, mode: str) -> dict[str, Any]:
    """Pin -> tag -> commit, and the raw objects of the window: the run spec, kept for all later tasks."""
    home = workspace.home()
    home.mkdir(parents=True, exist_ok=True)
    chosen = _release(deployment, tag, home)
    client = Aws(deployment.aws_conn_id).client()
    days = partition.window(day, deployment.raw.window_days)
    listing = s3.list_versions(client, deployment.raw.url, f"dt={days[0]}", f"dt={days[-1]}")
    objects = manifest.of_listing(deployment.pipeline, day, deployment.raw.url, days, listing, deployment.raw.marker)
    spec = RunSpec(deployment.pipeline, day, chosen.tag, chosen.commit, objects.digest)
    Ledger(client, deployment.ledger).put_manifest(spec, objects)
    log.info(
        "%s: %s of %d days landed, release %s (%s), run key %s",
        day,
        objects.days,
        len(days),
        chosen.tag,
        chosen.commit,
        spec.run_key,
    )
    return {**spec.to_dict(), "dag_run": dag_run, "mode": mode}


def _release(deployment: Deployment, tag: str | None, home: Path) -> release.Release:
    """The release asked for by Param, else the pinned one; either way its tag must still name the commit it was pinned at."""
    origin, name = deployment.repository.url, release.variable(deployment.pipeline)
    value = Variable.get(name, default=None, deserialize_json=True)
    if tag is None:
        live = release.Pin.from_mapping(value, name).live
        return release.confirm(live, git.commit_of_tag(origin, live.tag, cwd=home))
    at_origin = git.commit_of_tag(origin, tag, cwd=home)
    known = release.Pin.from_mapping(value, name).known_commit(tag) if value is not None else None
    return release.confirm(release.Release(tag, known or at_origin), at_origin)


def reproduce(deployment: Deployment, run: dict[str, Any]) -> dict[str, Any]:
    """A fresh workspace of the run's commit, the release's own environment, `dvc repro`. A failed attempt removes its workspace."""
    spec, aws = RunSpec.from_dict(run), Aws(deployment.aws_conn_id)
    client = aws.client()
    objects = Ledger(client, deployment.ledger).manifest(spec)
    place = workspace.create(
        deployment.repository.url, spec, objects, dag_run=run["dag_run"], min_free_mb=deployment.limits.min_free_disk_mb
    )
    try:
        built = environment.provide(
            place.checkout / deployment.repository.environment, workspace.home() / "environments"
        )
        program = _dvc(deployment, place, built, aws)
        program.configure(deployment.store, aws.endpoint)
        done = program.repro(deployment.limits.reproduce_minutes * 60)
        dvc.Lock.read(place.checkout)
        if done.executed:  # else nothing was read
            s3.require_unchanged(client, objects)
    except BaseException:
        workspace.discard(place)
        raise
    log.info("executed: %s; from the cache: %s", ", ".join(done.executed) or "-", ", ".join(done.cached) or "-")
    return {
        "workspace": str(place.path),
        "environment": built.lock_hash,
        "executed": list(done.executed),
        "cached": list(done.cached),
        "seconds": round(done.seconds, 1),
    }


def _dvc(deployment: Deployment, place: workspace.Workspace, built: environment.Environment, aws: Aws) -> dvc.Dvc:
    home = workspace.home()
    own = built.bin if built.has_dvc_on_s3 else environment.provide(_DEPLOYMENT_DVC, home / "environments").bin
    extra = {
        **aws.environment(),
        "RAW_CACHE_DIR": str(home / "raw" / deployment.pipeline),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }
    return dvc.Dvc.of(place.checkout, built, own, _cache(deployment), extra)


def push(deployment: Deployment, run: dict[str, Any], reproduced: dict[str, Any]) -> dict[str, Any]:
    """`dvc push`, then the proof that every object reachable from dvc.lock is on the remote: the receipt, kept in the ledger."""
    spec, place, aws = (
        RunSpec.from_dict(run),
        workspace.Workspace(Path(reproduced["workspace"])),
        Aws(deployment.aws_conn_id),
    )
    program = _dvc(deployment, place, _environment(deployment, place), aws)
    client = aws.client()
    ledger = Ledger(client, deployment.ledger)
    earlier = ledger.earlier_receipt(spec.pipeline, spec.partition)
    proven = proving.push_and_prove(
        program.push,
        Remote(client, deployment.store),
        _reachable(deployment, place),
        program.cache,
        earlier.by_key if earlier and earlier.remote == deployment.store else {},
    )
    name = ledger.put_receipt(spec, proven.receipt)
    objects, size = len(proven.receipt.proofs), proven.receipt.size
    log.info(
        "%d objects, %d bytes proven on %s: %d sent, %d healed, %d requests, %.1f s",
        objects,
        size,
        deployment.store,
        proven.sent,
        proven.healed,
        proven.requests,
        proven.seconds,
    )
    return {
        "receipt": name,
        "objects": objects,
        "bytes": size,
        "sent": proven.sent,
        "healed": proven.healed,
        "requests": proven.requests,
        "seconds": proven.seconds,
    }


def _reachable(deployment: Deployment, place: workspace.Workspace) -> list[dvc.CachedObject]:
    return dvc.reachable(dvc.Lock.read(place.checkout), dvc.Declared.read(place.checkout), _cache(deployment))


def _cache(deployment: Deployment) -> Path:
    return workspace.home() / "cache" / deployment.pipeline


def _environment(deployment: Deployment, place: workspace.Workspace) -> environment.Environment:
    return environment.provide(place.checkout / deployment.repository.environment, workspace.home() / "environments")


def record_run(
    deployment: Deployment, run: dict[str, Any], reproduced: dict[str, Any], pushed: dict[str, Any]
) -> dict[str, Any]:
    """The MLflow run and the model version of this run key, then the ledger's entry, create-only."""
    spec, place = RunSpec.from_dict(run), workspace.Workspace(Path(reproduced["workspace"]))
    checkout = place.checkout
    lock, declared = dvc.Lock.read(checkout), dvc.Declared.read(checkout)
    ledger = Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger)
    proven = ledger.receipt(spec, pushed["receipt"])
    proven.require(_reachable(deployment, place))
    metrics = dvc.metrics(declared, lock, checkout)
    written = place.path / "receipt.json"
    written.write_text(proven.to_json(), encoding="utf-8")
    finished = tracked_run.TrackedRun(
        spec,
        run["dag_run"],
        run["mode"],
        reproduced["environment"],
        metrics,
        deployment.raw.url,
        lock,
        declared,
        checkout,
        written,
    )
    recorded = tracked_run.record(tracked_run.connect(deployment), deployment, finished)
    files = {
        "dvc.lock": lock.text,
        "dvc.yaml": (checkout / "dvc.yaml").read_text("utf-8"),
        "run.yaml": spec.run_yaml(),
        "environment.lock": _environment(deployment, place).lock.read_text("utf-8"),
    }
    record = RunRecord(
        **spec.to_dict(),
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        dag_run=run["dag_run"],
        mode=run["mode"],
        environment=reproduced["environment"],
        raw_versioned=ledger.manifest(spec).versioned,
        outputs={output.path: output.md5 for output in lock.outputs},
        metrics=metrics,
        mlflow=asdict(recorded),
        objects=pushed["objects"],
        size=pushed["bytes"],
        supersedes=_superseded(ledger, spec),
    )
    new = ledger.commit(record, files, proven)
    log.info("run %s is %s", spec.run_key, "committed" if new else "already committed, with the same bytes")
    return {**asdict(recorded), "url": mlflow_run_url(recorded), "metrics": metrics}


def _superseded(ledger: Ledger, spec: RunSpec) -> str | None:
    """The entry of the same partition that a new one takes the place of."""
    before = [
        record for record in live(ledger.records(spec.pipeline, spec.partition)) if record.run_key != spec.run_key
    ]
    return before[-1].run_key if before else None


def mlflow_run_url(recorded: Recorded) -> str:
    """Where a person reads this run. MLflow 3 shows language models' pages unless told otherwise."""
    server = os.environ.get("RETRAIN_MLFLOW_URL", "").rstrip("/")
    return f"{server}/#/experiments/{recorded.experiment_id}/runs/{recorded.run_id}?workflowType=machine_learning"


def check_drift(
    deployment: Deployment, run: dict[str, Any], reproduced: dict[str, Any], recorded: dict[str, Any], log_url: str
) -> dict[str, Any]:
    """Judge the day, keep it for the days to come, and leave a signal of each verdict.

    A backfill's days, and a day that a newer one has followed, are history: kept, without a signal.
    """
    spec = RunSpec.from_dict(run)
    if deployment.drift is None and deployment.performance is None:
        raise AirflowSkipException("This pipeline declares no drift report and no error.")
    ledger = Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger)
    checkout = workspace.Workspace(Path(reproduced["workspace"])).checkout
    judged = judging.judge_day(deployment, ledger, spec, checkout)
    for verdict in filter(None, (judged.drift, judged.performance)):
        log.info("%s: %s %s", verdict.state, " ".join(verdict.reasons) or "nothing to say.", verdict.confidence_reason)
    told = run["mode"] != BACKFILL and judged.newest
    if told:
        _tell_verdicts(deployment, ledger, spec, judged, checkout, {"log_url": log_url, "mlflow_url": recorded["url"]})
    return {
        "drift": judged.drift.to_dict() if judged.drift else None,
        "performance": judged.performance.to_dict() if judged.performance else None,
        "told": told,
    }


def _tell_verdicts(
    deployment: Deployment,
    ledger: Ledger,
    spec: RunSpec,
    judged: judging.Judged,
    checkout: Path,
    links: dict[str, str],
) -> None:
    """One signal a verdict, with its picture while it is in alert."""
    if judged.drift and deployment.drift:
        drawn = deployment.drift.picture
        pictures = {}
        if drawn and judged.drift.state is State.ALERT and (checkout / drawn).is_file():
            pictures[f"{spec.partition}-{spec.run_key[:12]}-drift.png"] = (checkout / drawn).read_bytes()
        shown = tuple((name, f"Drift on {spec.partition}: reference against current") for name in pictures)
        tell(verdicts.of_drift(spec, judged.drift, links, _now(), shown), pictures)
    if judged.performance and deployment.performance:
        pictures = {}
        if judged.performance.state is State.ALERT:
            promotions = [name[: len(spec.partition)] for name in ledger.event_names(spec.pipeline, "promotions")]
            picture = error_picture.draw(
                judged.days, judged.errors, judged.releases, promotions, deployment.performance.unit
            )
            pictures[f"{spec.partition}-{spec.run_key[:12]}-error.png"] = picture
        shown = tuple((name, f"{judged.performance.metric} of the last weeks") for name in pictures)
        tell(verdicts.of_performance(spec, judged.performance, links, _now(), shown), pictures)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def promote(
    deployment: Deployment, run: dict[str, Any], reproduced: dict[str, Any], recorded: dict[str, Any]
) -> dict[str, Any]:
    """Challenger against champion on the partition's rows, each scored in a process of its own; moves the alias or says why not."""
    gate, model, spec = deployment.promotion, deployment.tracking.model, RunSpec.from_dict(run)
    if gate is None or model is None or recorded["model_version"] is None:
        raise AirflowSkipException("This pipeline has no model to promote.")
    tracking = tracked_run.connect(deployment)
    tags = tracking.champion(model)
    champion = promotion.Champion(tags["version"], tags["partition"]) if tags else None
    if champion is not None and champion.version == recorded["model_version"]:
        return {"promoted": False, "version": champion.version, "reason": "This version is the champion already."}
    decision = promotion.may_compete(
        spec.partition, champion, tracking.newest_partition(model), backfill=run["mode"] == BACKFILL
    )
    if not decision.promote:
        log.info("%s", decision.reason)
        return {"promoted": False, "version": recorded["model_version"], "reason": decision.reason}

    place = workspace.Workspace(Path(reproduced["workspace"]))
    measured = judging.read_json(place.checkout / gate.metrics)
    own = _environment(deployment, place)
    challenger = _score(deployment, place, own, place.checkout / _model_path(place), "challenger")
    rival = None
    if tags is not None:
        downloaded = tracking.download_model(tags["run_id"], place.scratch("champion"))
        rival = _score(
            deployment,
            place,
            environment.known(workspace.home() / "environments", tags["environment"]) or own,
            downloaded,
            "champion",
        )
    try:
        baselines = {name: float(measured[name][gate.metric]) for name in gate.baselines}
    except (KeyError, TypeError) as error:
        raise ReportError(
            f"{gate.metrics} has no {gate.metric} of the baseline {error}. Correct promotion in the pipeline's file."
        ) from error
    decision = promotion.judge(gate.metric, challenger, rival, baselines)
    log.info("%s", decision.reason)
    why = promotion.worth_a_message(decision, spec.partition, champion, gate.champion_days)
    facts = {
        "reason": why or decision.reason,
        "metric": gate.metric,
        "challenger": {"version": recorded["model_version"], gate.metric: challenger},
        "champion": {
            "version": champion.version,
            "partition": champion.partition,
            "age_days": (partition.parse(spec.partition) - partition.parse(champion.partition)).days,
            gate.metric: rival,
        }
        if champion
        else None,
        "baselines": baselines,
        "mlflow_url": recorded["url"],
    }
    tell(verdicts.of_promotion(spec, _now(), facts, alert=why is not None, promoted=decision.promote))
    if decision.promote:
        event = {
            "from": tags["version"] if tags else None,
            "to": recorded["model_version"],
            "reason": decision.reason,
            "run_key": spec.run_key,
        }
        # Before the alias: killed in between, a second try moves it; after it, a second try would find nothing to do.
        Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger).event(
            spec.pipeline, "promotions", f"{spec.partition}-{spec.run_key}", event
        )
        tracking.promote(model, recorded["model_version"])
        tell(verdicts.promoted(spec, _now(), recorded["model_version"], champion, decision.reason))
    return {"promoted": decision.promote, "version": recorded["model_version"], "reason": decision.reason}


def _model_path(place: workspace.Workspace) -> Path:
    return dvc.matching(dvc.Declared.read(place.checkout).models, dvc.Lock.read(place.checkout), place.checkout)[0]


def _score(
    deployment: Deployment, place: workspace.Workspace, built: environment.Environment, model: Path, name: str
) -> float:
    """One model's metric on the partition's rows."""
    gate = deployment.promotion
    if gate is None:
        raise ScoreError("There is no promotion section to score by.")
    program, *arguments = gate.score
    out = place.path / f"{name}.json"
    path = os.pathsep.join([str(built.bin), os.environ.get("PATH", os.defpath)])
    env = process.environment(PATH=path, PYTHONDONTWRITEBYTECODE="1")
    done = process.run(
        [built.bin / program, *arguments, model, place.checkout / gate.rows, out],
        cwd=place.checkout,
        env=env,
        timeout=_SCORE_TIMEOUT,
    )
    if done.returncode != 0 or not out.is_file():
        raise ScoreError(
            f"The {name} could not be scored: {done.lines[-1] if done.lines else 'no output'}. The champion is unchanged."
        )
    return float(judging.read_json(out)[gate.metric])


def remove_workspace(deployment: Deployment, dag_run: str) -> list[str]:
    """Remove all attempts of this DAG run; what they made is in the cache, on the remote and in the ledger."""
    return workspace.remove(deployment.pipeline, dag_run)
