"""A picture of the model's error over the last weeks, for a message in Slack."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from retrain.judge.day import Day, Error
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.verdict import State

_COLOURS = {"model": "#1f77b4", "baseline": "#8a8a8a", "limit": "#d62728", "release": "#2ca02c", "promotion": "#9467bd"}
_MOST_DAYS = 42  # more cannot be told apart on a phone
_TICKS = 6
_ROOM_ABOVE = 0.15  # of the axis, for the names of releases


@dataclass(frozen=True)
class _Point:
    """A day that has an error, and where it is on the horizontal axis."""

    when: date
    day: Day
    error: Error


def draw(
    days: Sequence[Day],
    verdicts: Sequence[PerformanceVerdict],
    releases: Mapping[str, str],
    promotions: Sequence[str] = (),
    unit: str = "",
) -> bytes:
    """Draw the error with its interval, the best baseline, the alert limit, and marks for releases and promotions.

    Args:
        days: judged days, oldest first; the newest 42 of those with an error are shown.
        verdicts: the performance policy's, for the limits and for the days in alert.
        releases: the release of each partition; the first day of another release is marked.
        promotions: the partitions whose model became champion.
        unit: the error's unit, such as "minutes"; empty for none.

    Returns:
        a PNG of 1000 x 600 pixels, readable on a phone. The same input gives the same bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    points = [_Point(date.fromisoformat(day.partition), day, day.error) for day in days if day.error is not None]
    points = points[-_MOST_DAYS:]
    figure = Figure(figsize=(10, 6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    metric = points[-1].error.metric if points else "error"
    _draw_error(axes, points, metric)
    _draw_baseline(axes, points)
    _draw_limit(axes, [verdict for verdict in verdicts if points and verdict.partition >= points[0].day.partition])
    shown = [point.when for point in points]
    _mark_releases(axes, shown, releases)
    _mark_promotions(axes, shown, promotions)
    _label(axes, points, metric, unit)
    figure.legend(loc="outside lower center", ncols=3, fontsize=15, frameon=False)
    out = io.BytesIO()
    # Without the library's version in the file, equal pictures are equal bytes.
    canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()


def _draw_error(axes: Any, points: Sequence[_Point], metric: str) -> None:
    """The model's error as a line, over a band of its confidence intervals."""
    bounded = [(point.when, *point.error.interval) for point in points if point.error.interval is not None]
    axes.fill_between(
        [when for when, _, _ in bounded],
        [low for _, low, _ in bounded],
        [high for _, _, high in bounded],
        color=_COLOURS["model"],
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(
        [point.when for point in points],
        [point.error.value for point in points],
        color=_COLOURS["model"],
        linewidth=3,
        marker="o",
        label=f"model's {metric}, with its interval",
    )


def _draw_baseline(axes: Any, points: Sequence[_Point]) -> None:
    """The baseline that is best on the last day."""
    if not points or not points[-1].day.baselines:
        return
    best, _ = min(points[-1].day.baselines.items(), key=lambda baseline: baseline[1])
    axes.plot(
        [point.when for point in points],
        [point.day.baselines.get(best, float("nan")) for point in points],
        color=_COLOURS["baseline"],
        linewidth=2,
        linestyle="--",
        label=f"baseline {best.replace('_', ' ')}",
    )


def _draw_limit(axes: Any, verdicts: Sequence[PerformanceVerdict]) -> None:
    """The limit of each day, and a dot on each error of a day in alert."""
    limits = [(date.fromisoformat(each.partition), each.limit) for each in verdicts if each.limit is not None]
    axes.plot(
        [when for when, _ in limits],
        [limit for _, limit in limits],
        color=_COLOURS["limit"],
        linewidth=2,
        label="alert limit",
    )
    alerting = [(date.fromisoformat(each.partition), each.value) for each in verdicts if each.state is State.ALERT]
    if alerting:
        when, values = zip(*alerting, strict=True)
        axes.scatter(when, values, color=_COLOURS["limit"], s=90, zorder=3, label="in alert")


def _mark_releases(axes: Any, shown: Sequence[date], releases: Mapping[str, str]) -> None:
    """A line with the release's name on each day that has another release than the day before."""
    known = sorted((date.fromisoformat(partition), name) for partition, name in releases.items())
    for (_, before), (when, now) in pairwise(known):
        if before != now and when in shown:
            axes.axvline(when, color=_COLOURS["release"], linewidth=3)
            axes.annotate(
                now,
                (when, 1),
                xycoords=("data", "axes fraction"),
                xytext=(5, -18),
                textcoords="offset points",
                fontsize=16,
                color=_COLOURS["release"],
            )


def _mark_promotions(axes: Any, shown: Sequence[date], promotions: Sequence[str]) -> None:
    """A triangle for each promotion; the legend names the first one only."""
    label = "promoted"
    for when in sorted(map(date.fromisoformat, promotions)):
        if when in shown:
            axes.plot(
                [when],
                [0.02],
                marker="^",
                markersize=13,
                color=_COLOURS["promotion"],
                linestyle="none",
                label=label,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )
            label = "_"


def _label(axes: Any, points: Sequence[_Point], metric: str, unit: str) -> None:
    """Axes, ticks and title."""
    if points:
        axes.set_xlim(points[0].when - timedelta(days=1), points[-1].when + timedelta(days=1))
    axes.set_ylim(0, axes.get_ylim()[1] * (1 + _ROOM_ABOVE))
    step = -(-len(points) // _TICKS) or 1
    ticks = [point.when for point in points][::step]
    axes.set_xticks(ticks, [f"{when.day} {when:%b}" for when in ticks])
    axes.tick_params(labelsize=16)
    axes.set_ylabel(f"{metric} ({unit})" if unit else metric, fontsize=18)
    axes.spines[["top", "right"]].set_visible(False)
    last = points[-1] if points else None
    title = f"{metric} {last.error.value:.2f} on {last.day.partition}" if last else "No errors recorded yet"
    axes.set_title(title, fontsize=22, loc="left")
