"""Stage drift: compare the partition with the same weekdays of earlier weeks, in a report and in pictures.

Drift is reported and never fails the stage: the deployment decides whether a person must act.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pipeline import stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipeline.score import Floats

EPSILON = 1e-4
MISSING = "missing"
OTHER = "other"
TOP = 4
TICKS = 4
REFERENCE, CURRENT = "0.7", "tab:blue"


@dataclass(frozen=True)
class Feature:
    """A watched feature: its column in `observe`, its kind and label, and for an input the model's column behind it."""

    name: str
    kind: str
    label: str
    numeric: bool
    column: str | None = None


# Duration, distance and speed are known only after a trip: duration is the target, the others move with it.
FEATURES = (
    Feature("duration", "target", "minutes", numeric=True),
    Feature("distance", "target", "miles", numeric=True),
    Feature("speed", "target", "miles an hour", numeric=True),
    Feature("minute_of_day", "input", "minute of the day", numeric=True, column="pickup_datetime"),
    Feature("pickup_zone", "input", "pickup zone", numeric=False, column="pickup_location_id"),
    Feature("dropoff_zone", "input", "dropoff zone", numeric=False, column="dropoff_location_id"),
    Feature("passenger_count", "input", "passengers", numeric=False, column="passenger_count"),
    Feature("vendor", "input", "vendor", numeric=False, column="vendor_id"),
    Feature("prediction", "prediction", "predicted minutes", numeric=True),
)


@dataclass(frozen=True)
class Comparison:
    """Shares of the reference rows and of the current rows in each bin; all three have one entry per bin."""

    bins: list[str]
    reference: Floats
    current: Floats


def observe(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the watched values of predicted trips (n rows), one column per feature."""
    time = trips["pickup_datetime"].dt
    return pd.DataFrame(
        {
            "duration": trips["duration_min"],
            "distance": trips["distance_mi"],
            "speed": trips["distance_mi"] * 60 / trips["duration_min"],
            "minute_of_day": time.hour * 60 + time.minute,
            "pickup_zone": trips["pickup_location_id"],
            "dropoff_zone": trips["dropoff_location_id"],
            "passenger_count": trips["passenger_count"],
            "vendor": trips["vendor_id"],
            "prediction": trips["predicted_min"],
        }
    )


def psi(reference: Floats, current: Floats) -> float:
    """Return the population stability index of two distributions given as shares of the same bins.

    The sum over bins of (current - reference) * ln(current / reference), as in Siddiqi, "Credit Risk Scorecards"
    (Wiley, 2006); it is the symmetric divergence of Jeffreys (1946). Zero for equal shares, symmetric, never negative.
    Shares below 0.0001 count as 0.0001, so that a bin that is empty on one side has a finite weight.
    """
    expected, found = np.maximum(reference, EPSILON), np.maximum(current, EPSILON)
    return float(((found - expected) * np.log(found / expected)).sum())


def compare_numbers(reference: Floats, current: Floats, bins: int) -> Comparison:
    """Cut numbers into bins that hold equally many reference values.

    Bins are cut on the reference, so scores can be compared from day to day. Equal values stay in one bin.
    """
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))

    def shares(values: Floats) -> Floats:
        counts = np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
        return np.asarray(counts / len(values))

    edges = [f"{edge:.3g}" if abs(edge) < 1000 else f"{edge:.0f}" for edge in inner]  # noqa: PLR2004 - from there on .3g prints 1.2e+03
    names = [f"< {edges[0]}", *(f"{a} - {b}" for a, b in pairwise(edges)), f">= {edges[-1]}"]
    return Comparison(names, shares(reference), shares(current))


def compare_categories(reference: pd.Series, current: pd.Series, bins: int) -> Comparison:
    """Count the reference's most common categories, all others together, and missing values."""
    common = reference.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:bins]
    names = [*(f"{value:g}" for value in common), OTHER, MISSING]

    def shares(values: pd.Series) -> Floats:
        label = values.map({value: f"{value:g}" for value in common}).astype(object)
        label = label.where(label.notna(), OTHER).where(values.notna(), MISSING)
        return label.value_counts().reindex(names, fill_value=0).to_numpy(dtype=np.float64) / len(values)

    return Comparison(names, shares(reference), shares(current))


def compare(feature: Feature, reference: pd.Series, current: pd.Series, bins: int) -> Comparison:
    """Return the shares of one feature's values in bins cut on the reference."""
    if feature.numeric:
        return compare_numbers(reference.to_numpy(np.float64), current.to_numpy(np.float64), bins)
    return compare_categories(reference, current, bins)


def judge(
    feature: Feature, reference: pd.Series, current: pd.Series, comparison: Comparison, limit: float
) -> dict[str, Any]:
    """Return one feature's entry in the report: PSI against its limit, and scipy's distances beside it.

    `bins` counts the bins with a row on at least one side: the fewer rows and the more bins, the more of PSI is chance.
    """
    from scipy.spatial.distance import jensenshannon

    value = psi(comparison.reference, comparison.current)
    distance = float(jensenshannon(comparison.reference, comparison.current, base=2))
    entry: dict[str, Any] = {
        "name": feature.name,
        "kind": feature.kind,
        "label": feature.label,
        "measure": "psi",
        "value": round(value, 4),
        "limit": limit,
        "drifted": value > limit,
        "bins": int(((comparison.reference > 0) | (comparison.current > 0)).sum()),
        # Equal shares can come out as the root of a tiny negative number.
        "jensen_shannon": round(distance, 4) if np.isfinite(distance) else 0.0,
    }
    if feature.numeric:
        from scipy.stats import wasserstein_distance

        entry["wasserstein"] = round(float(wasserstein_distance(reference, current)), 4)
        entry["reference_median"] = round(float(reference.median()), 3)
        entry["current_median"] = round(float(current.median()), 3)
    return entry


def report(
    trips: pd.DataFrame, partition: date, params: Mapping[str, Any], importance: Mapping[str, float]
) -> tuple[dict[str, Any], dict[str, Comparison]]:
    """Return the drift report of the partition, and the binned shares of each feature for the pictures.

    Args:
        trips: predicted trips of the partition and of its reference days, with their `day`.
        partition: the day to judge.
        params: section `drift`.
        importance: each input column's share of the model's skill; see `evaluate.importance`.
    """
    today = trips["day"] == pd.Timestamp(partition)
    reference, current = observe(trips[~today]), observe(trips[today])
    entries, comparisons = [], {}
    for feature in FEATURES if len(reference) else ():
        past, now = reference[feature.name], current[feature.name]
        comparisons[feature.name] = compare(feature, past, now, params["bins"])
        limit = params["limits"][feature.name]
        entry = judge(feature, past, now, comparisons[feature.name], limit)
        entries.append(entry if feature.column is None else {**entry, "importance": importance[feature.column]})
    reason = None
    if not len(reference):
        reason = f"None of the {params['reference_weeks']} same weekdays before {partition} has data to compare with."
    elif len(current) < params["reliable_rows"]:
        reason = f"Only {len(current)} rows: below {params['reliable_rows']}, PSI is mostly noise."
    by_day = {
        f"{day:%Y-%m-%d}": int(rows) for day, rows in trips.loc[~today, "day"].value_counts().sort_index().items()
    }
    return {
        "schema_version": stage.SCHEMA_VERSION,
        "partition": partition.isoformat(),
        "rows": {"current": len(current), "reference": len(reference), "by_day": by_day},
        "reference_partitions": list(by_day),
        "drifted": any(entry["drifted"] for entry in entries),
        "reliable": reason is None,
        "reason": reason,
        "features": entries,
    }, comparisons


def draw(summary: Mapping[str, Any], comparisons: Mapping[str, Comparison], path: Path) -> None:
    """Draw each feature's shares, reference against current, with its PSI.

    No limits are drawn: the deployment may raise a limit when there are few rows, and the picture would contradict it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = summary["rows"]
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    FigureCanvasAgg(figure)
    past = f"{rows['current']} trips against {rows['reference']} of {', '.join(summary['reference_partitions']) or 'no day'}"
    title = f"Distributions on {summary['partition']}"
    figure.suptitle("\n".join(filter(None, [title, past, summary["reason"]])), fontsize=13)
    for place, entry in enumerate(summary["features"], start=1):
        axes, shares = figure.add_subplot(3, 3, place), comparisons[entry["name"]]
        x = bars(axes, shares)
        axes.set_xticks(x, shares.bins, rotation=60, ha="right", fontsize=7)
        axes.set_xlabel(entry["label"], fontsize=9)
        axes.set_ylabel("% of trips", fontsize=9)
        axes.set_title(f"{entry['name']} ({entry['kind']}): PSI {entry['value']:.2f}", fontsize=9)
    if comparisons:
        legend(figure, "reference", "current")
    # Without the library's version in the file, equal reports are equal bytes.
    figure.savefig(path, dpi=80, metadata={"Software": None})


def draw_top(summary: Mapping[str, Any], comparisons: Mapping[str, Comparison], path: Path) -> None:
    """Draw the few features that are farthest from their reference, large enough for a phone: 1000 x 640 pixels.

    Features are ranked by PSI divided by its limit, so that a wider limit does not put a feature first. The limits themselves are
    not drawn: see `draw`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = sorted(summary["features"], key=lambda entry: (-entry["value"] / entry["limit"], entry["name"]))[:TOP]
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    title = (
        f"Farthest from the reference on {summary['partition']}" if entries else f"{summary['partition']}: no reference"
    )
    figure.suptitle(title, fontsize=20)
    for place, entry in enumerate(entries, start=1):
        axes, shares = figure.add_subplot(2, 2, place), comparisons[entry["name"]]
        x = bars(axes, shares)
        named = np.unique(np.linspace(0, len(x) - 1, TICKS).round().astype(int))
        axes.set_xticks(named, [shares.bins[n] for n in named], fontsize=13)
        axes.set_xlabel(entry["label"], fontsize=14)
        axes.set_ylabel("% of trips", fontsize=14)
        axes.tick_params(axis="y", labelsize=13)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(f"{entry['name'].replace('_', ' ')}: PSI {entry['value']:.2f}", fontsize=16)
    if entries:
        past = f"{len(summary['reference_partitions'])} days before, same weekday"
        legend(figure, past, "this day", fontsize=14, frameon=False)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def bars(axes: Axes, shares: Comparison) -> npt.NDArray[np.int64]:
    """Draw the shares of each bin side by side, in percent, and return the bins' positions on the x axis."""
    x = np.arange(len(shares.bins))
    axes.bar(x - 0.2, shares.reference * 100, 0.4, color=REFERENCE)
    axes.bar(x + 0.2, shares.current * 100, 0.4, color=CURRENT)
    return x


def legend(figure: Figure, reference: str, current: str, **style: Any) -> None:
    """Say below the panels which colour is which."""
    from matplotlib.patches import Patch

    handles = [Patch(color=REFERENCE, label=reference), Patch(color=CURRENT, label=current)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, **style)


def main() -> None:
    """Read `data/predictions.parquet` and `reports/metrics.json`; write `reports/drift.json`, `drift.png`, `drift_top.png`."""
    trips = pq.ParquetFile(stage.PREDICTIONS).read().to_pandas()
    importance = json.loads(stage.METRICS.read_text())["importance"]
    summary, comparisons = report(trips, stage.read_partition(), stage.read_params("drift"), importance)
    stage.write_json(stage.REPORTS / "drift.json", summary)
    draw(summary, comparisons, stage.REPORTS / "drift.png")
    draw_top(summary, comparisons, stage.REPORTS / "drift_top.png")


if __name__ == "__main__":
    sys.exit(stage.run(main))
