"""The drift policy: when drift is strong enough, wide enough and long enough for a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist, median

from retrain.deployment import holiday
from retrain.deployment.policies import Drift
from retrain.deployment.sections import Calendar, Schedule
from retrain.judge.day import Day, MeasuredFeature
from retrain.judge.episode import Episode
from retrain.judge.run_days import runs_before
from retrain.judge.verdict import Confidence, Severity, State, Verdict

_WHOLE = 0.999999  # shares of importance are rounded, and so is their sum
_USUAL_BINS = 10
_IDLE = 0.1  # of an even share of the model's skill


@dataclass(frozen=True)
class Moved:
    """A feature over its limit.

    `value` and `limit` are in the unit of `measure`. `limit` is the report's, or the distance that chance alone reaches with so
    few rows (see `chance`), whichever is higher. `weight` is 1 for targets, for predictions, and for an input that carries at
    least an even share of the model's skill; it is lower, down to 0, for an input that carries less.
    """

    name: str
    kind: str
    measure: str
    value: float
    limit: float
    weight: float

    @property
    def effect(self) -> float:
        """The value as a multiple of the limit."""
        return self.value / self.limit


@dataclass(frozen=True, kw_only=True)
class DriftVerdict(Verdict):
    """The drift policy's verdict on a day: the features over their limits, by weight times effect, highest first.

    `rows` and `reference_rows` count the rows that were compared.
    """

    features: tuple[Moved, ...]
    rows: int
    reference_rows: int


@dataclass(frozen=True)
class _DriftEvidence:
    """What one day shows by itself.

    `usual_rows` is the median of the reference days. `fell` is True if far fewer rows than that came. `holiday` is the name of
    the day's holiday.
    """

    partition: str
    moved: tuple[Moved, ...]
    usual_rows: float | None
    fell: bool
    holiday: str | None

    @property
    def weight(self) -> float:
        """How many features have moved, each counted by its weight."""
        return sum(feature.weight for feature in self.moved)

    @property
    def drifts(self) -> bool:
        """Whether features of at least one full weight have moved. A holiday is no evidence: it differs from its weekday every year."""
        return self.weight >= _WHOLE and self.holiday is None

    @property
    def short(self) -> bool:
        """Whether rows are missing and no holiday explains it."""
        return self.fell and self.holiday is None

    def strength(self, most: float) -> float:
        """The sum of effects by weight, each effect cut at `most`; a fall in rows adds as much as a feature at its limit."""
        return sum(feature.weight * min(feature.effect, most) for feature in self.moved) + self.fell


def walk(
    days: Iterable[Day], policy: Drift, calendar: Calendar | None = None, schedule: Schedule | None = None
) -> list[DriftVerdict]:
    """Judge each day by itself and the days before it, as production does.

    An episode opens when enough features have moved on a day, and either most of the last days drifted too or the features
    have moved far. It also opens when rows were missing on enough of the last days.

    Args:
        days: judged days, oldest first, one for each partition; a day without a run is absent.
        policy: section `drift` of the pipeline's file.
        calendar: the pipeline's holidays; None for a pipeline without any.
        schedule: the days that count among the last ones; None for every day.

    Returns:
        one verdict for each day, in the same order.
    """
    episode, seen, verdicts = Episode(), list[_DriftEvidence](), list[DriftVerdict]()
    for day in days:
        evidence = _evidence(day, policy, calendar)
        seen.append(evidence)
        first = runs_before(schedule, day.partition, policy.of_days - 1)
        recent = [past for past in seen[-policy.of_days :] if past.partition >= first]
        drifting, short = sum(past.drifts for past in recent), sum(past.short for past in recent)
        far = evidence.strength(policy.high) >= policy.min_features * policy.high
        features = (
            evidence.drifts and evidence.weight >= policy.min_features * _WHOLE and (drifting >= policy.days or far)
        )
        rows = evidence.short and short >= policy.days
        calm = not evidence.drifts and not evidence.short
        episode = episode.then(day.partition, opens=features or rows, calm=calm, calm_days=policy.calm_days)
        verdicts.append(_verdict(day, evidence, episode, (drifting, short), policy, calendar))
    return verdicts


def chance(feature: MeasuredFeature, rows: int, reference_rows: int, confidence: float) -> float:
    """The PSI that two samples of one distribution, with so many rows, stay below with probability `confidence`.

    PSI times n*m/(n+m) is then distributed as chi-squared with one degree of freedom less than there are bins (Yurdakul
    and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14, 2020);
    its quantile by Wilson and Hilferty (1931). 0 for another measure than PSI, and for an empty sample.
    """
    if feature.measure != "psi" or not rows or not reference_rows:
        return 0.0
    freedom = max((feature.bins or _USUAL_BINS) - 1, 1)
    part = 2 / (9 * freedom)
    quantile = freedom * (1 - part + NormalDist().inv_cdf(confidence) * part**0.5) ** 3
    return float(quantile * (1 / rows + 1 / reference_rows))


def _evidence(day: Day, policy: Drift, calendar: Calendar | None) -> _DriftEvidence:
    inputs = sum(1 for feature in day.features if feature.importance is not None)
    moved = []
    for feature in day.features:
        limit = max(feature.limit, chance(feature, day.rows, day.reference_rows, policy.confidence))
        if feature.value > limit:
            weight = 1.0 if feature.importance is None else min(feature.importance * inputs, 1.0)
            moved.append(Moved(feature.name, feature.kind, feature.measure, feature.value, limit, weight))
    moved.sort(key=lambda feature: (-feature.weight * feature.effect, -feature.effect, feature.name))
    usual = median(day.by_day.values()) if day.by_day else None
    fell = usual is not None and day.rows < usual * policy.rows_below
    return _DriftEvidence(
        day.partition, tuple(moved), usual, fell, holiday.name(date.fromisoformat(day.partition), calendar)
    )


def _verdict(
    day: Day,
    evidence: _DriftEvidence,
    episode: Episode,
    recent: tuple[int, int],
    policy: Drift,
    calendar: Calendar | None,
) -> DriftVerdict:
    state = episode.state(unusual=bool(evidence.moved) or evidence.fell)
    confidence, why = _confidence(day, policy, calendar)
    return DriftVerdict(
        partition=day.partition,
        state=state,
        severity=None if state is State.CALM else _severity(evidence, max(recent), policy),
        confidence=confidence,
        confidence_reason=why,
        reasons=_reasons(day, evidence, episode, recent, policy),
        since=episode.since,
        days_open=episode.days,
        opened=episode.opened,
        cleared=episode.cleared,
        features=evidence.moved,
        rows=day.rows,
        reference_rows=day.reference_rows,
    )


def _severity(evidence: _DriftEvidence, recent: int, policy: Drift) -> Severity:
    """By the strength of the drift; one step higher once it was there on most of the last days."""
    strength = evidence.strength(policy.high)
    full = policy.min_features * policy.high
    severity = Severity.HIGH if strength >= full else Severity.MEDIUM if strength >= full / 2 else Severity.LOW
    return severity.next if recent > policy.of_days / 2 else severity


def _confidence(day: Day, policy: Drift, calendar: Calendar | None) -> tuple[Confidence, str]:
    noisy = [
        (reached, feature)
        for feature in day.features
        if (reached := chance(feature, day.rows, day.reference_rows, policy.confidence)) > feature.limit
    ]
    if not day.features:
        return Confidence.LOW, "Low confidence: there is no earlier day to compare with."
    if noisy:
        reached, feature = max(noisy, key=lambda pair: (pair[0], pair[1].name))
        return Confidence.LOW, (
            f"Low confidence: with {day.rows} rows, chance alone moves {feature.name} up to {reached:.2f} "
            f"(limit {feature.limit:.2f}), so that counts as the limit."
        )
    feasts = [
        f"{past} ({what})" for past in sorted(day.by_day) if (what := holiday.name(date.fromisoformat(past), calendar))
    ]
    if feasts:
        return Confidence.MEDIUM, f"Medium confidence: the reference holds {' and '.join(feasts)}."
    return Confidence.HIGH, f"High confidence: {day.rows} rows against {day.reference_rows} of the same weekday before."


def _reasons(
    day: Day, evidence: _DriftEvidence, episode: Episode, recent: tuple[int, int], policy: Drift
) -> tuple[str, ...]:
    drifting, short = recent
    reasons = []
    for kind, named in (("target", "Target"), ("prediction", "Prediction"), ("input", "Input")):
        moved = [f"{f.name} {f.value:.2f} (limit {f.limit:.2f})" for f in evidence.moved if f.kind == kind]
        if moved:
            reasons.append(f"{named} drift: {', '.join(moved)}.")
    idle = [feature.name for feature in evidence.moved if feature.weight < _IDLE]
    if idle:
        reasons.append(f"The model hardly depends on {' and '.join(idle)}.")
    if evidence.fell and evidence.usual_rows:
        less = 1 - day.rows / evidence.usual_rows
        reasons.append(
            f"{less:.0%} fewer rows than usual on this weekday: {day.rows}, usually {evidence.usual_rows:.0f}."
        )
    if evidence.holiday and reasons:
        reasons.append(f"{evidence.holiday} differs from its weekday every year, so this day does not count.")
    if evidence.drifts and drifting > 1:
        reasons.append(f"{drifting} of the last {policy.of_days} days drifted.")
    if evidence.short and short > 1:
        reasons.append(f"Rows were missing on {short} of the last {policy.of_days} days.")
    if episode.calm:
        reasons.append(f"Calm for {episode.calm} of the {policy.calm_days} days after which the incident ends.")
    return tuple(reasons)
