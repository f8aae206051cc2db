"""Stage featurize: sum up past trips in tables, and encode the training rows with them.

Everything is computed from days before the partition. The partition's own rows are only passed on, for testing.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found, unused-ignore]

from pipeline import stage
from pipeline.duration_model import FEATURES, INPUTS, SIZE, SLOTS, History, averages, encode, slot_index, zone_index
from pipeline.errors import DataRefusedError
from pipeline.window import days_before, read_days

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from pipeline.duration_model import Floats, Ints

# Weights of the half hours around one: it borrows half from the nearest, a quarter from the next.
NEIGHBOURS = np.array([0.25, 0.5, 1.0, 0.5, 0.25])


def logs(trips: pd.DataFrame) -> Floats:
    """Return log minutes and log miles (n, 2) of clean trips."""
    return np.asarray(np.log(trips[["duration_min", "distance_mi"]].to_numpy()))


def _sums(keys: Ints, values: Floats, size: int) -> Floats:
    by_value = [np.bincount(keys, column, minlength=size) for column in values.T]
    return np.column_stack([np.bincount(keys, minlength=size), *by_value])


def zone_positions(pickup: Ints, dropoff: Ints, miles: Floats) -> Floats:
    """Place the zones on a plane so that their distances fit the mean distance driven between them.

    Starts from classical multidimensional scaling of the shortest paths between zones (Torgerson 1952) and minimises
    the weighted squared error of the observed pairs (stress, Kruskal 1964), weights growing with a pair's trips and
    falling with its distance. The zones' real coordinates are not in the data.

    Returns:
        (SIZE, 2) positions in miles, along their principal axes; NaN for zones without trips to another zone.
    """
    from scipy.optimize import minimize
    from scipy.sparse.csgraph import shortest_path

    key, inverse = np.unique(pickup * SIZE + dropoff, return_inverse=True)
    trips = np.bincount(inverse)
    mean = np.bincount(inverse, miles) / trips
    start, end = key // SIZE, key % SIZE
    other = start != end
    start, end, trips, mean = start[other], end[other], trips[other], mean[other]
    positions = np.full((SIZE, 2), np.nan)
    zones, compact = np.unique(np.concatenate([start, end]), return_inverse=True)
    count = len(zones)
    if count < 3:  # noqa: PLR2004 - a plane needs three points
        return positions
    a, b = compact[: len(start)], compact[len(start) :]
    weight = trips / (trips + 3.0) / mean

    direct = np.full((count, count), np.inf)
    np.minimum.at(direct, (a, b), mean)
    paths = shortest_path(np.minimum(direct, direct.T), directed=False)
    paths[~np.isfinite(paths)] = paths[np.isfinite(paths)].max()
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ paths**2 @ centring)
    guess = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-9))

    def stress(flat: Floats) -> tuple[float, Floats]:
        place = flat.reshape(count, 2)
        way = place[a] - place[b]
        length = np.sqrt((way**2).sum(axis=1) + 1e-4)
        error = length - mean
        pull = (2 * weight * error / length)[:, None] * way
        sums = [np.bincount(a, column, count) - np.bincount(b, column, count) for column in pull.T]
        return float((weight * error**2).sum()), np.column_stack(sums).ravel()

    place = minimize(stress, guess.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x.reshape(count, 2)
    place -= place.mean(axis=0)
    axes = np.linalg.svd(place, full_matrices=False)[2]
    # An axis may come out mirrored from one day to the next; the largest entry of each is made positive.
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    positions[zones] = place @ axes.T
    return positions


def build_history(trips: pd.DataFrame, params: Mapping[str, Any]) -> History:
    """Return the history tables of past clean trips.

    A slot, a half hour of the week, averages its trips' deviations from their pairs' averages. Each trip is left out of
    its pair's average, but not out of its slot's, where it is one of hundreds.
    """
    own = logs(trips)
    pickup, dropoff = zone_index(trips["pickup_location_id"]), zone_index(trips["dropoff_location_id"])
    history = History(
        pickup=_sums(pickup, own, SIZE),
        dropoff=_sums(dropoff, own, SIZE),
        pair=_sums(pickup * SIZE + dropoff, own, SIZE * SIZE),
        position=zone_positions(pickup, dropoff, trips["distance_mi"].to_numpy()),
        slot=np.zeros(SLOTS),
        zone_strength=params["zone_strength"],
        pair_strength=params["pair_strength"],
    )
    excess = own[:, 0] - averages(trips, history, own)["pair_log_minutes"]
    slot = slot_index(trips["pickup_datetime"])
    by_slot = _sums(slot, excess[:, None], SLOTS)
    reach = len(NEIGHBOURS) // 2
    around = np.concatenate([by_slot[-reach:], by_slot, by_slot[:reach]])
    count, total = (np.convolve(column, NEIGHBOURS, "valid") for column in around.T)
    history.slot[:] = total / (count + params["slot_strength"])
    return history


def pair_medians(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the median minutes of each pair of zones; the row with zones 0, 0 is the median of all trips."""
    keys = ["pickup_location_id", "dropoff_location_id"]
    pairs = trips.groupby(keys, sort=True)["duration_min"].median().reset_index()
    overall = pd.DataFrame({keys[0]: [0], keys[1]: [0], "duration_min": [trips["duration_min"].median()]})
    return pd.concat([overall, pairs], ignore_index=True).rename(columns={"duration_min": "median_min"})


def featurize(past: pd.DataFrame, partition: date, params: Mapping[str, Any]) -> tuple[History, pd.DataFrame]:
    """Return the history tables and the features of the training rows, with the target `log_minutes`.

    Args:
        past: clean trips of the days before the partition (read_days), each training day among them.
        partition: the day to predict; none of its trips is in `past`.
        params: section `featurize`.

    Raises:
        DataRefusedError: too few trips to train on.
    """
    if (past["day"] >= pd.Timestamp(partition)).any():
        raise ValueError(f"The history for {partition} holds trips of {past['day'].max():%Y-%m-%d}, which is not past.")
    history = build_history(past, params)
    training = past[past["day"] >= pd.Timestamp(days_before(partition, params["train_days"])[0])]
    if len(training) < params["min_train_rows"]:
        raise DataRefusedError(
            f"data/trips has {len(training)} trips in column duration_min in the {params['train_days']} days before "
            f"{partition}, fewer than the floor of {params['min_train_rows']} (featurize.min_train_rows); land earlier days."
        )
    own = logs(training)
    return history, encode(training, history, own).assign(log_minutes=own[:, 0])


def _write(frame: pd.DataFrame, path: Path) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(), path)


def main() -> None:
    """Read `data/trips`; write `data/history`, `data/baseline.parquet`, `data/train.parquet` and `data/test.parquet`."""
    params, partition = stage.read_params("featurize"), stage.read_partition()
    past = read_days(stage.TRIPS, days_before(partition, params["history_days"]))
    # The last bits of sums in linear algebra depend on the number of threads; one thread gives one result anywhere.
    with threadpool_limits(1):
        history, training = featurize(past, partition, params)
    shutil.rmtree(stage.HISTORY, ignore_errors=True)
    history.save(stage.HISTORY)
    _write(pair_medians(past), stage.BASELINE)
    _write(training[[*FEATURES, "log_minutes"]], stage.TRAIN)
    _write(read_days(stage.TRIPS, [partition])[[*INPUTS, "distance_mi", "duration_min"]], stage.TEST)


if __name__ == "__main__":
    sys.exit(stage.run(main))
