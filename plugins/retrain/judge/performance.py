"""The performance policy: when the model's error on a day is far enough above its history for a message.

Labels land with the data, so this is the real error. It catches days that drift misses: in snow every trip takes longer, while
the distributions of the features stay within their limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from retrain.deployment.policies import Performance
from retrain.deployment.sections import Schedule
from retrain.judge.day import Day, Error
from retrain.judge.episode import Episode
from retrain.judge.run_days import runs_before
from retrain.judge.verdict import Confidence, Severity, State, Verdict

_TO_DEVIATION = 1.4826  # from the median absolute deviation to the standard deviation of a normal distribution


@dataclass(frozen=True, kw_only=True)
class PerformanceVerdict(Verdict):
    """The performance policy's verdict on a day's error.

    `value`, `interval`, `limit` and the baselines' errors are in the metric's unit. `interval` is the confidence interval of
    `value`, None if the pipeline reports none. `limit` is None while there is too little history. `history` is a sentence on
    the errors of the days before; empty without a limit.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None
    limit: float | None
    baselines: dict[str, float]
    history: str


@dataclass(frozen=True)
class _ErrorEvidence:
    """A day's error beside its history and its baselines.

    `middle` and `limit` are None with too little history, `worst` without any. `past` counts the earlier days with an error.
    `beaten_by` holds the baselines whose error is below the interval of the model's.
    """

    error: Error
    middle: float | None
    limit: float | None
    worst: float | None
    past: int
    beaten_by: dict[str, float]

    @property
    def dropped(self) -> bool:
        return self.limit is not None and self.error.lower_bound > self.limit


def walk(days: Iterable[Day], policy: Performance, schedule: Schedule | None = None) -> list[PerformanceVerdict]:
    """Judge each day that has an error by itself and the days before it, as production does.

    An episode opens when the lower bound of the error is above its limit, or above a baseline on enough of the last days.

    Args:
        days: judged days, oldest first, one for each partition.
        policy: section `performance` of the pipeline's file.
        schedule: the days that count among the last ones; None for every day.

    Returns:
        one verdict for each day with an error, in the same order.
    """
    episode, past, beaten, verdicts = Episode(), list[Day](), list[str](), list[PerformanceVerdict]()
    for day in days:
        if day.error is None:
            continue
        evidence = _evidence(day, day.error, _since(past, day.partition, policy.history_days, schedule), policy)
        past.append(day)
        if evidence.beaten_by:
            beaten.append(day.partition)
        before = runs_before(schedule, day.partition, policy.of_days)
        recent = sum(partition > before for partition in beaten)
        lost = bool(evidence.beaten_by) and recent >= policy.days
        episode = episode.then(
            day.partition,
            opens=evidence.dropped or lost,
            calm=not evidence.dropped and not evidence.beaten_by,
            calm_days=policy.calm_days,
        )
        verdicts.append(_verdict(day, evidence, episode, recent, policy))
    return verdicts


def _since(past: Sequence[Day], partition: str, days: int, schedule: Schedule | None) -> list[float]:
    first = runs_before(schedule, partition, days)
    return [day.error.value for day in past[-days:] if day.error and day.partition >= first]


def _evidence(day: Day, error: Error, past: Sequence[float], policy: Performance) -> _ErrorEvidence:
    middle = limit = None
    if len(past) >= policy.min_history:
        middle = median(past)
        limit = middle + policy.deviations * _TO_DEVIATION * median(abs(value - middle) for value in past)
    beaten_by = {name: value for name, value in day.baselines.items() if error.lower_bound > value}
    return _ErrorEvidence(error, middle, limit, max(past, default=None), len(past), beaten_by)


def _verdict(
    day: Day, evidence: _ErrorEvidence, episode: Episode, recent: int, policy: Performance
) -> PerformanceVerdict:
    state = episode.state(unusual=evidence.dropped or bool(evidence.beaten_by))
    error = evidence.error
    confidence, why = _confidence(day, evidence, policy)
    history = (
        f"Median of the last {evidence.past} days {evidence.middle:.2f}, highest {evidence.worst:.2f}."
        if evidence.middle is not None
        else ""
    )
    return PerformanceVerdict(
        partition=day.partition,
        state=state,
        severity=None if state is State.CALM else _severity(evidence),
        confidence=confidence,
        confidence_reason=why,
        reasons=_reasons(day, evidence, episode, recent, policy),
        since=episode.since,
        days_open=episode.days,
        opened=episode.opened,
        cleared=episode.cleared,
        metric=error.metric,
        value=error.value,
        interval=error.interval,
        limit=evidence.limit,
        baselines=dict(day.baselines),
        history=history,
    )


def _confidence(day: Day, evidence: _ErrorEvidence, policy: Performance) -> tuple[Confidence, str]:
    if evidence.limit is None:
        return Confidence.LOW, f"Low confidence: only {evidence.past} earlier days, {policy.min_history} are needed."
    if evidence.error.interval is None:
        return Confidence.MEDIUM, "Medium confidence: the pipeline reports no confidence interval of its error."
    return Confidence.HIGH, f"High confidence: {day.rows} rows, {evidence.past} earlier days."


def _severity(evidence: _ErrorEvidence) -> Severity:
    """HIGH if a simple baseline would have done better, MEDIUM if only the error has grown."""
    if evidence.beaten_by:
        return Severity.HIGH
    return Severity.MEDIUM if evidence.dropped else Severity.LOW


def _reasons(day: Day, evidence: _ErrorEvidence, episode: Episode, recent: int, policy: Performance) -> tuple[str, ...]:
    error, reasons = evidence.error, []
    measured = f"{error.metric} {error.value:.2f}"
    if error.interval is not None:
        measured += ", confidence interval {:.2f} to {:.2f}".format(*error.interval)
    if evidence.dropped and evidence.limit is not None:
        reasons.append(f"{measured} (limit {evidence.limit:.2f}).")
        best = min(day.baselines.items(), key=lambda baseline: baseline[1], default=None)
        if best and best[1] > error.value:
            reasons.append(
                f"The baseline {best[0]} was worse still ({best[1]:.2f}): the day was hard to predict for any model."
            )
    if evidence.beaten_by:
        named = " and ".join(f"{name} ({value:.2f})" for name, value in evidence.beaten_by.items())
        reasons.append(f"{measured}: worse than the baseline {named}, on {recent} of the last {policy.of_days} days.")
    if episode.calm:
        reasons.append(
            f"Within its limits for {episode.calm} of the {policy.calm_days} days after which the incident ends."
        )
    return tuple(reasons)
