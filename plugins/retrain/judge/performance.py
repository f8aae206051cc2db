"""The performance policy: whether the model's error on the newest day is surely beyond what it has been. Pure.

Labels land with the data, so the error is the real one. It catches what drift misses: on a day of snow every trip takes
longer, while what the trips look like stays within its limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from retrain.deployment.policies import Performance
from retrain.judge.day import Day, Error
from retrain.judge.spell import Confidence, Severity, Spell, State, Verdict

_TO_DEVIATION = 1.4826  # from the median absolute deviation to the standard deviation of a normal distribution


@dataclass(frozen=True)
class PerformanceVerdict(Verdict):
    """What to say of a day's error. `limit` is None while there is too little history; `history` is a sentence on it."""

    metric: str
    value: float
    interval: tuple[float, float] | None
    limit: float | None
    baselines: dict[str, float]
    history: str


@dataclass(frozen=True)
class _Look:
    """What one day shows: what its error is held against, whether it is surely over it, and surely over which baselines."""

    error: Error
    middle: float | None
    limit: float | None
    worst: float | None
    past: int
    beaten_by: dict[str, float]

    @property
    def sure(self) -> float:
        """The least that the error surely is; the error itself where a pipeline tells no interval."""
        return self.error.value if self.error.low is None else self.error.low

    @property
    def dropped(self) -> bool:
        return self.limit is not None and self.sure > self.limit


def walk(days: Iterable[Day], policy: Performance) -> list[PerformanceVerdict]:
    """The verdict on each day that has an error, from the oldest on, as production comes to it: by no later day.

    Args:
        days: judged days by partition, one a partition.
        policy: section `performance` of the pipeline's file.
    """
    spell, past, beaten, verdicts = Spell(), list[Day](), list[str](), list[PerformanceVerdict]()
    for day in days:
        if day.error is None:
            continue
        look = _look(day, day.error, _since(past, day.partition, policy.history_days), policy)
        past.append(day)
        if look.beaten_by:
            beaten.append(day.partition)
        recent = sum(partition > _before(day.partition, policy.of_days) for partition in beaten)
        lost = bool(look.beaten_by) and recent >= policy.days
        spell = spell.then(
            day.partition,
            opens=look.dropped or lost,
            calm=not look.dropped and not look.beaten_by,
            calm_days=policy.calm_days,
        )
        verdicts.append(_verdict(day, look, spell, recent, policy))
    return verdicts


def _before(partition: str, days: int) -> str:
    return (date.fromisoformat(partition) - timedelta(days=days)).isoformat()


def _since(past: Sequence[Day], partition: str, days: int) -> list[float]:
    first = _before(partition, days)
    return [day.error.value for day in past[-days:] if day.error and day.partition >= first]


def _look(day: Day, error: Error, past: Sequence[float], policy: Performance) -> _Look:
    middle = limit = None
    if len(past) >= policy.min_history:
        middle = median(past)
        limit = middle + policy.deviations * _TO_DEVIATION * median(abs(value - middle) for value in past)
    low = error.value if error.low is None else error.low
    beaten_by = {name: value for name, value in day.baselines.items() if low > value}
    return _Look(error, middle, limit, max(past, default=None), len(past), beaten_by)


def _verdict(day: Day, look: _Look, spell: Spell, recent: int, policy: Performance) -> PerformanceVerdict:
    state = State.ALERT if spell.since else State.WATCH if look.dropped or look.beaten_by else State.CALM
    error = look.error
    interval = None if error.low is None or error.high is None else (error.low, error.high)
    confidence, why = Confidence.HIGH, f"High confidence: {day.rows} rows, {look.past} earlier days."
    if look.limit is None:
        confidence, why = (
            Confidence.LOW,
            f"Low confidence: only {look.past} earlier days, {policy.min_history} are needed.",
        )
    elif interval is None:
        confidence, why = Confidence.MEDIUM, "Medium confidence: the pipeline tells no interval of its error."
    return PerformanceVerdict(
        day.partition,
        state,
        _severity(look) if state is not State.CALM else None,
        confidence,
        why,
        _reasons(day, look, spell, recent, policy),
        spell.since,
        spell.days,
        spell.opened,
        spell.cleared,
        error.metric,
        error.value,
        interval,
        look.limit,
        dict(day.baselines),
        ""
        if look.middle is None
        else f"Median of the last {look.past} days {look.middle:.2f}, highest {look.worst:.2f}.",
    )


def _severity(look: _Look) -> Severity:
    """High when a simple baseline would have done better, medium when the error alone has grown."""
    if look.beaten_by:
        return Severity.HIGH
    return Severity.MEDIUM if look.dropped else Severity.LOW


def _reasons(day: Day, look: _Look, spell: Spell, recent: int, policy: Performance) -> tuple[str, ...]:
    error, reasons = look.error, []
    between = (
        "" if error.low is None or error.high is None else f", surely between {error.low:.2f} and {error.high:.2f}"
    )
    told = f"{error.metric} {error.value:.2f}{between}"
    if look.dropped and look.limit is not None:
        reasons.append(f"{told} (limit {look.limit:.2f}).")
        best = min(day.baselines.items(), key=lambda baseline: baseline[1], default=None)
        if best and best[1] > error.value:
            reasons.append(
                f"The baseline {best[0]} did worse ({best[1]:.2f}): the day was hard to predict for anything."
            )
    if look.beaten_by:
        named = " and ".join(f"{name} ({value:.2f})" for name, value in look.beaten_by.items())
        reasons.append(f"{told}: worse than the baseline {named}, on {recent} of the last {policy.of_days} days.")
    if spell.calm:
        reasons.append(f"Within its limits for {spell.calm} of the {policy.calm_days} days that end it.")
    return tuple(reasons)
