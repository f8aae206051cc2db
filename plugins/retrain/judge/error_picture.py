"""A picture of the model's error over the last weeks: with interval, baseline, limit, releases and promotions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from retrain.judge.day import Day
from retrain.judge.performance import PerformanceVerdict
from retrain.judge.verdict import State

_COLOURS = {"model": "#1f77b4", "baseline": "#8a8a8a", "limit": "#d62728", "release": "#2ca02c", "promotion": "#9467bd"}
_SHOWN = 42  # days: more cannot be told apart on a phone
_TICKS = 6
_OVER = 0.15  # of room above the highest value, for the names of releases


def _mark(axes: Any, shown: Sequence[date], releases: Mapping[str, str], promotions: Sequence[str]) -> None:
    """A line where the release changes, with its name, and one for each promotion, named once in the legend."""
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


def draw(
    days: Sequence[Day],
    verdicts: Sequence[PerformanceVerdict],
    releases: Mapping[str, str],
    promotions: Sequence[str] = (),
    unit: str = "",
) -> bytes:
    """The series as a PNG of 1000 x 600 pixels, readable on a phone; the same input gives the same bytes.

    Args:
        days: by partition; the newest six weeks of those with an error are shown.
        verdicts: the performance policy's, for the limit and the days in alert.
        releases: release by partition; a mark stands where it changes.
        promotions: partitions whose model became champion.
        unit: of the error, such as "minutes".
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(date.fromisoformat(day.partition), day, day.error) for day in days if day.error is not None][-_SHOWN:]
    verdicts = [verdict for verdict in verdicts if shown and verdict.partition >= shown[0][1].partition]
    figure = Figure(figsize=(10, 6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    at = [when for when, _, _ in shown]
    within = [(when, e.low, e.high) for when, _, e in shown if e.low is not None and e.high is not None]
    axes.fill_between(
        [w for w, _, _ in within],
        [low for _, low, _ in within],
        [high for _, _, high in within],
        color=_COLOURS["model"],
        alpha=0.2,
        linewidth=0,
    )
    metric = shown[-1][2].metric if shown else "error"
    axes.plot(
        at,
        [e.value for _, _, e in shown],
        color=_COLOURS["model"],
        linewidth=3,
        marker="o",
        label=f"model's {metric}, 95 % sure",
    )
    best = (
        min(shown[-1][1].baselines.items(), key=lambda baseline: baseline[1])[0]
        if shown and shown[-1][1].baselines
        else None
    )
    if best:
        axes.plot(
            at,
            [day.baselines.get(best, float("nan")) for _, day, _ in shown],
            color=_COLOURS["baseline"],
            linewidth=2,
            linestyle="--",
            label=f"baseline {best.replace('_', ' ')}",
        )
    limits = [(date.fromisoformat(v.partition), v.limit) for v in verdicts if v.limit is not None]
    axes.plot(
        [w for w, _ in limits],
        [limit for _, limit in limits],
        color=_COLOURS["limit"],
        linewidth=2,
        label="alert limit",
    )
    alerting = [(date.fromisoformat(v.partition), v.value) for v in verdicts if v.state is State.ALERT]
    if alerting:
        where, values = zip(*alerting, strict=True)
        axes.scatter(where, values, color=_COLOURS["limit"], s=90, zorder=3, label="in alert")
    _mark(axes, at, releases, promotions)
    if at:
        axes.set_xlim(at[0] - timedelta(days=1), at[-1] + timedelta(days=1))
    axes.set_ylim(0, axes.get_ylim()[1] * (1 + _OVER))
    named = at[:: -(-len(at) // _TICKS)] if at else []
    axes.set_xticks(named, [f"{when.day} {when:%b}" for when in named])
    axes.tick_params(labelsize=16)
    axes.set_ylabel(f"{metric} ({unit})" if unit else metric, fontsize=18)
    axes.spines[["top", "right"]].set_visible(False)
    last = shown[-1] if shown else None
    title = f"{metric} {last[2].value:.2f} on {last[1].partition}" if last else "No errors recorded yet"
    axes.set_title(title, fontsize=22, loc="left")
    figure.legend(loc="outside lower center", ncols=3, fontsize=15, frameon=False)
    out = io.BytesIO()
    # Without the library's version in the file, equal pictures are equal bytes.
    canvas.print_png(out, metadata={"Software": None})
    return out.getvalue()
