"""The impact of a trouble on the model's consumers, from its start to its end."""

from __future__ import annotations

from retrain.alerts.facts import PromotionFacts
from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.message.clock import moment, shown
from retrain.alerts.message.mrkdwn import code, plain
from retrain.alerts.message.trouble import AFTER_RECORD, RECORDED, Trouble
from retrain.results import Recorded

_IMPACTS = {
    Kind.DATA_LATE: "No new model until the data of {day} lands.",
    Kind.PUSH_UNPROVEN: "The model of {day} is trained, but not proven stored, so it was not recorded.",
    Kind.DRIFT_DETECTED: "The model of {day} was trained and recorded all the same.",
    Kind.PERFORMANCE_DROPPED: "The model of {day} was recorded; its predictions are less accurate than before.",
    Kind.PROMOTION_REFUSED: "The model of {day} was recorded; consumers do not get it.",
    Kind.PIPELINE_SILENT: "No new model since the last good run; whether {day} still comes is not known.",
    Kind.BACKFILL: "Consumers notice nothing: a backfill never promotes.",
}
_ENDS = {
    Kind.DATA_LATE: "The data of {day} landed",
    Kind.DRIFT_DETECTED: "{day} is within its limits",
    Kind.PERFORMANCE_DROPPED: "The error of {day} is within its limit",
    Kind.PIPELINE_SILENT: "{day} was recorded",
    Kind.BACKFILL: "The backfill has finished",
}


def impact(trouble: Trouble) -> str:
    """The message's second line: the effect on the day's model."""
    day, task = trouble.day, trouble.task_id
    if task in AFTER_RECORD and trouble.kind not in RECORDED:
        return f"The model of {day} is trained, stored and recorded; {AFTER_RECORD[task]}."
    if trouble.kind is Kind.TASK_FAILED and task == Recorded.task:
        return f"The model of {day} is trained and stored, but not in MLflow: nobody can load it yet."
    if trouble.airflow_itself:
        return "No new model of any pipeline while this lasts. What is live stays live."
    if trouble.of_housekeeping:
        return "The shared volume or Airflow's database grows until this is fixed."
    return _IMPACTS.get(trouble.kind, "No new model of {day}.").format(day=day)


def standing(trouble: Trouble, situation: Situation | None) -> str:
    """Which model consumers are on, that nothing is lost, and the last good run."""
    if trouble.airflow_itself:
        return "Nothing recorded is lost; running tasks continue or are tried again."
    if trouble.of_housekeeping:
        return "No model is affected."
    if situation is None:
        return "What consumers are on and the last good run are not known."
    if situation.unknown:
        why = plain(situation.unknown, 200).rstrip(".")
        return f"What consumers are on and the last good run are not known yet: {why}."
    stay = "are" if trouble.recorded else "stay"
    of = f" of {plain(situation.champion_partition, 20)}" if situation.champion_partition else ""
    on = (
        f"Consumers {stay} on model version {plain(situation.champion, 20)}{of}."
        if situation.champion
        else "Which model consumers are on is not known."
    )
    # record_run writes the ledger before MLflow: the day that it failed for may be the newest one there.
    if trouble.recorded or (trouble.task_id == Recorded.task and situation.last_good == trouble.partition):
        return on
    at = f", recorded {shown(situation.last_good_at)}" if moment(situation.last_good_at) else ""
    good = f"{plain(situation.last_good, 20)}{at}" if situation.last_good else "not known"
    return f"{on} Nothing recorded is lost. Last good run: {good}."


def end(trouble: Trouble) -> str:
    """How the trouble ended, without the full stop. Its facts are those of the end."""
    if trouble.airflow_itself:
        return "Airflow is healthy again"
    if trouble.of_housekeeping:
        return f"{code(trouble.task_id, 40)} succeeded"
    if isinstance(trouble.facts, PromotionFacts):
        return _end_of_refusals(trouble.facts, trouble.day)
    if trouble.kind in _ENDS:
        return _ENDS[trouble.kind].format(day=trouble.day)
    return f"{code(trouble.task_id, 40) if trouble.task_id else 'The task'} succeeded for {trouble.day}"


def _end_of_refusals(facts: PromotionFacts, day: str) -> str:
    if facts.promoted:
        return f"The model of {day} was promoted"
    reason = plain(facts.reason, 300).rstrip(".")
    # An end that was written before ends said why has no reason.
    return f"The model of {day} was not promoted: {reason}" if reason else f"Nothing to report of {day}"
