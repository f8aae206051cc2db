"""Stage evaluate: measure the model on the partition beside two baselines, and write the data of two plots.

It also predicts drift's reference days and measures the importance of each input, so that the model is loaded only
once.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import stage
from pipeline.duration_model import INPUTS
from pipeline.score import TRUTH, load, measures, predict, read_rows
from pipeline.window import days_present, read_days, same_weekdays_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.score import Floats

CONFIDENCE = 0.95


def median_predictions(rows: pd.DataFrame, medians: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the two baselines' predictions (n,) in minutes: the pair's median, and the median of all trips.

    Args:
        rows: (n) rows with zone ids.
        medians: from `featurize.pair_medians`; a pair without a row gets the median of all trips.
    """
    keys = ["pickup_location_id", "dropoff_location_id"]
    overall = medians.loc[(medians[keys] == 0).all(axis=1), "median_min"].iloc[0]
    by_pair = rows[keys].merge(medians, on=keys, how="left")["median_min"].fillna(overall)
    return by_pair.to_numpy(dtype=np.float64), np.full(len(rows), overall)


def mae_interval(predicted: Floats, actual: Floats) -> dict[str, float]:
    """Return the 95 % confidence interval of the mean absolute error, in minutes: Student's t over the rows' errors.

    A single row has no spread: the interval is then the error itself.
    """
    from scipy.special import stdtrit

    error = np.abs(predicted - actual)
    reach = 0.0
    if len(error) > 1:
        reach = float(stdtrit(len(error) - 1, (1 + CONFIDENCE) / 2) * error.std(ddof=1) / np.sqrt(len(error)))
    mean = float(error.mean())
    return {"mae_low": round(max(mean - reach, 0.0), 6), "mae_high": round(mean + reach, 6)}


def importance(rows: pd.DataFrame, predict_rows: Callable[[pd.DataFrame], Floats], seed: int) -> dict[str, float]:
    """Return each input's share of the model's skill: permutation importance, with a sum of 1.

    The growth of the mean absolute error when one column is shuffled (Breiman, "Random Forests", Machine Learning 45,
    2001), divided by the sum over all columns. A column whose shuffling costs nothing has 0; if none costs, all have 0.

    Args:
        rows: (n) rows with INPUTS, TRUTH and `predicted_min`, the model's prediction for the unshuffled rows.
        predict_rows: predicts minutes for rows with INPUTS.
        seed: seed of the shuffle; every column is shuffled in the same order.
    """
    actual = rows[TRUTH].to_numpy()
    order = np.random.default_rng(seed).permutation(len(rows))
    whole = np.abs(rows["predicted_min"].to_numpy() - actual).mean()
    lost = {}
    for column in INPUTS:
        shuffled = rows[INPUTS].assign(**{column: rows[column].to_numpy()[order]})
        lost[column] = max(float(np.abs(predict_rows(shuffled) - actual).mean() - whole), 0.0)
    total = sum(lost.values())
    return {column: round(value / total, 4) if total > 0 else 0.0 for column, value in lost.items()}


def evaluate(rows: pd.DataFrame, predicted: Floats, medians: pd.DataFrame) -> dict[str, Any]:
    """Return the metrics of the model (with an interval of its error) and of both baselines on the partition's rows."""
    actual = rows[TRUTH].to_numpy()
    by_pair, overall = median_predictions(rows, medians)
    return {
        "rows": len(rows),
        "model": {**measures(predicted, actual), **mae_interval(predicted, actual)},
        "pair_median": measures(by_pair, actual),
        "global_median": measures(overall, actual),
    }


def error_by_hour(rows: pd.DataFrame, predicted: Floats) -> pd.DataFrame:
    """Return the mean absolute error in minutes and the number of trips for each hour of the day that has trips."""
    error = (rows[TRUTH] - predicted).abs()
    by_hour = error.groupby(rows["pickup_datetime"].dt.hour.rename("hour")).agg(mae_min="mean", trips="size")
    table: pd.DataFrame = by_hour.round(4).reset_index()
    return table


def actual_and_predicted(rows: pd.DataFrame, predicted: Floats, limit: int) -> pd.DataFrame:
    """Return actual and predicted minutes of at most `limit` rows, evenly spaced over the day."""
    both = pd.DataFrame({"actual_min": rows[TRUTH], "predicted_min": predicted}).round(3)
    spaced = np.unique(np.linspace(0, len(both) - 1, min(limit, len(both))).round().astype(int))
    table: pd.DataFrame = both.iloc[spaced]
    return table


def main() -> None:
    """Read `model`, `data/test.parquet`, `data/trips`; write metrics, plot data and `data/predictions.parquet`."""
    partition = stage.read_partition()
    params, weeks = stage.read_params("evaluate"), stage.read_params("drift")["reference_weeks"]
    model, rows = load(stage.MODEL), read_rows(stage.TEST)
    predicted = predict(model, rows)
    frames = [rows.assign(day=pd.Timestamp(partition), predicted_min=predicted)]
    if reference_days := days_present(stage.TRIPS, same_weekdays_before(partition, weeks)):
        reference = read_days(stage.TRIPS, reference_days)
        frames.insert(0, reference.assign(predicted_min=predict(model, reference)))
    both = pd.concat(frames, ignore_index=True)
    pq.write_table(pa.Table.from_pandas(both, preserve_index=False).replace_schema_metadata(), stage.PREDICTIONS)

    medians = pq.ParquetFile(stage.BASELINE).read().to_pandas()
    metrics = evaluate(rows, predicted, medians)
    metrics["importance"] = importance(both, lambda shuffled: predict(model, shuffled), params["seed"])
    stage.write_json(stage.METRICS, metrics)

    plots = stage.REPORTS / "plots"
    shutil.rmtree(plots, ignore_errors=True)
    plots.mkdir(parents=True)
    error_by_hour(rows, predicted).to_csv(plots / "error_by_hour.csv", index=False)
    actual_and_predicted(rows, predicted, params["plotted_rows"]).to_csv(plots / "predictions.csv", index=False)


if __name__ == "__main__":
    sys.exit(stage.run(main))
