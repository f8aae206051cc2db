"""The drift policy: whether a day is far enough from its reference, in enough that matters, for long enough. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist, median

from retrain.deployment import holiday
from retrain.deployment.policies import Drift
from retrain.deployment.sections import Calendar
from retrain.judge.day import Day, Feature
from retrain.judge.spell import Confidence, Severity, Spell, State, Verdict

_WHOLE = 0.999999  # shares of importance are rounded, and so is their sum
_USUAL_BINS = 10
_IDLE = 0.1  # of an even share of the model's skill


@dataclass(frozen=True)
class Moved:
    """A feature over its limit. `limit` is the report's, or what chance alone reaches with so few rows, if that is more.

    `weight` is 1 for what the model is about (targets, predictions) and for an input with at least its even share of the
    model's skill, less for an input that the model depends on less.
    """

    name: str
    kind: str
    measure: str
    value: float
    limit: float
    weight: float

    @property
    def effect(self) -> float:
        """How many times its limit."""
        return self.value / self.limit


@dataclass(frozen=True)
class DriftVerdict(Verdict):
    """What to say of a day's drift; the features that count most first, those that count nothing last."""

    features: tuple[Moved, ...]
    rows: int
    reference_rows: int


@dataclass(frozen=True)
class _Look:
    """What one day shows by itself."""

    partition: str
    moved: tuple[Moved, ...]
    usual_rows: float | None
    fell: bool
    holiday: str | None

    @property
    def weight(self) -> float:
        """How many features that matter fully have moved."""
        return sum(feature.weight for feature in self.moved)

    @property
    def drifts(self) -> bool:
        """Whether as much as one of them has. A holiday is no evidence: it is unlike its weekday every year."""
        return self.weight >= _WHOLE and self.holiday is None

    @property
    def short(self) -> bool:
        """Whether rows are missing that no holiday explains."""
        return self.fell and self.holiday is None

    def strength(self, most: float) -> float:
        """Effects added up by weight, none above `most` times its limit; a fall in rows adds as much as a feature at its limit."""
        return sum(feature.weight * min(feature.effect, most) for feature in self.moved) + self.fell


def walk(days: Iterable[Day], policy: Drift, calendar: Calendar | None = None) -> list[DriftVerdict]:
    """The verdict on each day, from the oldest on, as production comes to it: by no later day.

    A spell opens when enough features have moved at once and either drift is there on most of the last days, or they have
    moved far; and, as a signal of its own, when rows keep missing.

    Args:
        days: judged days by partition, one a partition; days without a run are simply not there.
        policy: section `drift` of the pipeline's file.
        calendar: whose holidays count.
    """
    spell, seen, verdicts = Spell(), list[_Look](), list[DriftVerdict]()
    for day in days:
        look = _look(day, policy, calendar)
        seen.append(look)
        first = (date.fromisoformat(day.partition) - timedelta(days=policy.of_days - 1)).isoformat()
        recent = [past for past in seen[-policy.of_days :] if past.partition >= first]
        drifting, short = sum(past.drifts for past in recent), sum(past.short for past in recent)
        far = look.strength(policy.high) >= policy.min_features * policy.high
        features = look.drifts and look.weight >= policy.min_features * _WHOLE and (drifting >= policy.days or far)
        rows = look.short and short >= policy.days
        calm = not look.drifts and not look.short
        spell = spell.then(day.partition, opens=features or rows, calm=calm, calm_days=policy.calm_days)
        verdicts.append(_verdict(day, look, spell, (drifting, short), policy, calendar))
    return verdicts


def chance(feature: Feature, rows: int, reference_rows: int, confidence: float) -> float:
    """The PSI that two samples of one distribution stay below with this confidence, so few rows they have.

    PSI times n*m/(n+m) is then distributed as chi-squared with one degree of freedom less than there are bins (Yurdakul
    and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14, 2020);
    its quantile by Wilson and Hilferty (1931). 0 for another measure than PSI.
    """
    if feature.measure != "psi" or not rows or not reference_rows:
        return 0.0
    freedom = max((feature.bins or _USUAL_BINS) - 1, 1)
    part = 2 / (9 * freedom)
    quantile = freedom * (1 - part + NormalDist().inv_cdf(confidence) * part**0.5) ** 3
    return float(quantile * (1 / rows + 1 / reference_rows))


def _look(day: Day, policy: Drift, calendar: Calendar | None) -> _Look:
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
    return _Look(day.partition, tuple(moved), usual, fell, holiday.name(date.fromisoformat(day.partition), calendar))


def _verdict(
    day: Day, look: _Look, spell: Spell, recent: tuple[int, int], policy: Drift, calendar: Calendar | None
) -> DriftVerdict:
    state = State.ALERT if spell.since else State.WATCH if look.moved or look.fell else State.CALM
    confidence, why = _confidence(day, policy, calendar)
    return DriftVerdict(
        day.partition,
        state,
        _severity(look, max(recent), policy) if state is not State.CALM else None,
        confidence,
        why,
        _reasons(day, look, spell, recent, policy),
        spell.since,
        spell.days,
        spell.opened,
        spell.cleared,
        look.moved,
        day.rows,
        day.reference_rows,
    )


def _severity(look: _Look, recent: int, policy: Drift) -> Severity:
    """By effect and by how much of what matters has moved; a step more once it is there on most days."""
    strength = look.strength(policy.high)
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


def _reasons(day: Day, look: _Look, spell: Spell, recent: tuple[int, int], policy: Drift) -> tuple[str, ...]:
    drifting, short = recent
    reasons = []
    for kind, named in (("target", "Target"), ("prediction", "Prediction"), ("input", "Input")):
        moved = [f"{f.name} {f.value:.2f} (limit {f.limit:.2f})" for f in look.moved if f.kind == kind]
        if moved:
            reasons.append(f"{named} drift: {', '.join(moved)}.")
    idle = [feature.name for feature in look.moved if feature.weight < _IDLE]
    if idle:
        reasons.append(f"The model hardly depends on {' and '.join(idle)}.")
    if look.fell and look.usual_rows:
        less = 1 - day.rows / look.usual_rows
        reasons.append(f"{less:.0%} fewer rows than usual on this weekday: {day.rows}, usually {look.usual_rows:.0f}.")
    if look.holiday and reasons:
        reasons.append(f"{look.holiday} is unlike its weekday every year, so this day does not count.")
    if look.drifts and drifting > 1:
        reasons.append(f"{drifting} of the last {policy.of_days} days drifted.")
    if look.short and short > 1:
        reasons.append(f"Rows were missing on {short} of the last {policy.of_days} days.")
    if spell.calm:
        reasons.append(f"Calm for {spell.calm} of the {policy.calm_days} days that end it.")
    return tuple(reasons)
