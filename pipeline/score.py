"""Score a model on the rows of a partition: `python -m pipeline.score MODEL_DIR ROWS_PARQUET OUT_JSON`.

It takes any MLflow pyfunc model directory, so that champion and challenger are measured by the same code, each in its
own process. Stage evaluate uses the same functions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import stage
from pipeline.errors import StageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

TRUTH = "duration_min"


def measures(predicted: Floats, actual: Floats) -> dict[str, float]:
    """Return the errors of predicted against actual minutes, both (n,).

    `mae`, `rmse` and `bias` (mean of predicted - actual) are in minutes; `rmsle` is the RMSE of log(1 + minutes), the
    measure of the NYC taxi trip duration challenge; `r2` is 0 for predicting the mean, and if all minutes are equal.
    """
    error = predicted - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    values = {
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt((error**2).mean()),
        "rmsle": np.sqrt(((np.log1p(np.maximum(predicted, 0)) - np.log1p(actual)) ** 2).mean()),
        "r2": 1 - (error**2).sum() / spread if spread > 0 else 0.0,
        "bias": error.mean(),
    }
    return {name: round(float(value), 6) for name, value in values.items()}


def load(folder: Path) -> Any:
    """Load an MLflow pyfunc model directory.

    Raises:
        StageError: the folder is no model directory, or cannot be loaded here.
    """
    stage.quiet_mlflow()
    import mlflow.pyfunc

    # The model's code runs inside the model directory, and a byte-compiled copy there would change the model.
    sys.dont_write_bytecode = True
    try:
        return mlflow.pyfunc.load_model(str(folder))
    except Exception as e:  # a model directory may hold any code, which may raise anything
        raise StageError(
            f"{folder} could not be loaded as an MLflow model ({e}); check that it was pulled whole."
        ) from e


def predict(model: Any, rows: pd.DataFrame) -> Floats:
    """Return predicted minutes (n,) for rows; the model sees only the columns that its signature names.

    Raises:
        StageError: the rows lack a column that the model needs, or the prediction is not one number for each row.
    """
    schema = model.metadata.get_input_schema()
    names = schema.input_names() if schema is not None else [name for name in rows.columns if name != TRUTH]
    required = schema.required_input_names() if schema is not None else names
    absent = [name for name in required if name not in rows.columns]
    if absent:
        raise StageError(
            f"The rows have no column {', '.join(absent)}, which the model needs; the model belongs to another pipeline."
        )
    predicted = np.asarray(model.predict(rows[[name for name in names if name in rows.columns]]), dtype=np.float64)
    if predicted.shape != (len(rows),) or not np.isfinite(predicted).all():
        raise StageError(
            f"The model returned {predicted.shape} values for {len(rows)} rows, or values that are not numbers."
        )
    return predicted


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows to score: the model's input columns and `duration_min`.

    Raises:
        StageError: the file is missing, is not Parquet, or has no rows or no `duration_min`.
    """
    try:
        rows: pd.DataFrame = pq.ParquetFile(path).read().to_pandas()
    except (pa.ArrowException, OSError) as e:
        raise StageError(f"{path} cannot be read as Parquet ({e}); check that it was pulled whole.") from e
    if TRUTH not in rows.columns or rows.empty:
        raise StageError(
            f"{path} has {len(rows)} rows and columns {', '.join(rows.columns)}; it needs rows with {TRUTH}."
        )
    return rows


def main(argv: list[str] | None = None) -> None:
    """Score one model directory on one file of rows; write the measures and the number of rows as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.score", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("rows", type=Path, metavar="ROWS_PARQUET")
    parser.add_argument("out", type=Path, metavar="OUT_JSON")
    options = parser.parse_args(argv)
    rows = read_rows(options.rows)
    predicted = predict(load(options.model), rows)
    stage.write_json(options.out, {"rows": len(rows), **measures(predicted, rows[TRUTH].to_numpy())})


if __name__ == "__main__":
    sys.exit(stage.run(main))
