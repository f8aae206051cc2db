"""The task `promote`: makes the run's model the champion if it is better."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from retrain.alerts import verdicts
from retrain.alerts.facts import ModelFacts, PromotionFacts
from retrain.alerts.tell import tell
from retrain.deployment.sections import Promotion
from retrain.errors import ScoreError
from retrain.judge import promotion, scoring
from retrain.judge.json_file import read_object
from retrain.results import Promoted, Recorded, Reproduced, Resolved
from retrain.services import Services
from retrain.store import promotions
from retrain.store.promotions import NotedPromotion
from retrain.tasks.reproduced_workspace import description_of, environment_of, settings_of, workspace_of
from retrain.work.dvc.opened import of_workspace
from retrain.work.environments import environment
from retrain.work.environments.environment import Environment
from retrain.work.file_lock import locked
from retrain.work.stage_variables import StageVariables
from retrain.work.workspace import Workspace, home

log = logging.getLogger(__name__)

_LOCK_SECONDS = 3600.0


def promote(services: Services, run: Resolved, reproduced: Reproduced, recorded: Recorded) -> Promoted | None:
    """Score the run's model and the champion on the partition's rows, and move the alias if the run's model is better.

    Each is scored in its own environment, in a process of its own. A pipeline's promotions wait for each other, so that an
    older day cannot overtake a newer one.

    Returns:
        the decision; None if the pipeline has no model to promote.

    Raises:
        FileLockTimeoutError: another promotion of the pipeline held the lock for an hour.
        ScoreError: one of the two models could not be scored, or the champion was not registered by a run.
        ReportError: the metrics file is missing, or lacks the error of a baseline.
        StoreError: S3 refused or did not answer.
        TrackingError: MLflow refused or did not answer.
    """
    gate, model = services.deployment.promotion, services.deployment.tracking.model
    if gate is None or model is None or recorded.model_version is None:
        return None
    lock = home() / "locks" / f"{services.pipeline}.promotion"
    with locked(lock, what=f"another promotion of {services.pipeline}", timeout=_LOCK_SECONDS):
        return _promote(services, gate, model, run, reproduced, recorded, recorded.model_version)


def _promote(
    services: Services,
    gate: Promotion,
    model: str,
    run: Resolved,
    reproduced: Reproduced,
    recorded: Recorded,
    version: str,
) -> Promoted:
    spec, tracking = run.spec, services.tracking
    tags = tracking.champion(model)
    champion = _champion(tags, model) if tags else None
    if champion is not None and champion.version == version:
        return Promoted(promoted=False, version=version, reason="This version is the champion already.")
    today = datetime.now(ZoneInfo(services.deployment.schedule.timezone)).date().isoformat()
    # A backfill never promotes, so it does not ask for newer days.
    newest = "" if run.is_backfill else tracking.newest_partition(model, since=spec.partition, until=today)
    decision = promotion.may_compete(spec.partition, champion, newest, backfill=run.is_backfill)
    if not decision.promote:
        log.info("%s", decision.reason)
        return Promoted(promoted=False, version=version, reason=decision.reason)

    measured = read_object(workspace_of(reproduced).project / gate.metrics)
    challenger_error = _score_challenger(services, gate, reproduced)
    champion_error = _score_champion(services, gate, reproduced, tags) if tags else None
    baselines = scoring.baselines(gate, measured)
    decision = promotion.judge(gate.metric, challenger_error, champion_error, baselines)
    log.info("%s", decision.reason)
    why = promotion.worth_a_message(decision, spec.partition, champion, gate.champion_days)
    facts = PromotionFacts(
        reason=why or decision.reason,
        metric=gate.metric,
        challenger=ModelFacts(version=version, value=challenger_error),
        champion=ModelFacts(
            version=champion.version,
            partition=champion.partition,
            age_days=champion.age(spec.partition),
            value=champion_error,
        )
        if champion
        else None,
        baselines=baselines,
        mlflow_url=recorded.url,
    )
    if decision.promote:
        before = champion.version if champion else None
        noted = NotedPromotion(spec.partition, spec.run_key, version, before, decision.reason)
        # Noted before the alias moves: if the task is killed in between, its next try moves the alias. In the other order, the next
        # try would find the model to be the champion already, and the promotion would never be noted.
        promotions.note(services.ledger, spec.pipeline, noted)
        tracking.promote(model, version)
        tell(verdicts.promoted(spec, _now(), version, champion, decision.reason))
    tell(verdicts.of_promotion(spec, _now(), facts, alert=why is not None, promoted=decision.promote))
    return Promoted(promoted=decision.promote, version=version, reason=decision.reason)


def _champion(tags: dict[str, str], model: str) -> promotion.Champion:
    if "partition" not in tags:
        raise ScoreError(
            f"The champion, version {tags['version']} of {model}, was not registered by a run: it has no tag `partition`. "
            "Move the alias to a version that was, or remove it."
        )
    return promotion.Champion(tags["version"], tags["partition"])


def _score_challenger(services: Services, gate: Promotion, reproduced: Reproduced) -> float:
    place, built = workspace_of(reproduced), environment_of(reproduced)
    model = place.project / description_of(place).models[0]
    return _score(services, gate, place, built, model, "challenger")


def _score_champion(services: Services, gate: Promotion, reproduced: Reproduced, tags: dict[str, str]) -> float:
    place = workspace_of(reproduced)
    model = services.tracking.download_model(tags["run_id"], place.scratch("champion"))
    environments = home() / "environments"
    # The ledger only if it is needed: the task sends no other request to S3 unless it promotes.
    built = environment.known(environments, tags.get("environment", "")) or scoring.environment_of_champion(
        services.deployment, services.ledger, environments, tags, services.credentials
    )
    return _score(services, gate, place, built, model, "champion")


def _score(services: Services, gate: Promotion, place: Workspace, built: Environment, model: Path, name: str) -> float:
    settings = settings_of(place)
    variables = StageVariables(settings.env, services.credentials.stage_secrets())
    return scoring.score(gate, place, of_workspace(place, built, settings), variables, model, name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
