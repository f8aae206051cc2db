"""Stage train: fit the regressor, and save it with its history as an MLflow model directory, always with the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tempfile
import uuid
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found, unused-ignore]

from pipeline import duration_model, stage
from pipeline.duration_model import FEATURES, INPUTS, REGRESSOR, expected_log_minutes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow", "scikit-learn", "skops")
SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold


def fit(training: pd.DataFrame, params: Mapping[str, Any]) -> Any:
    """Fit the regressor on the rest: log minutes minus the log minutes that history alone predicts.

    Args:
        training: (n) rows with FEATURES and `log_minutes`.
        params: section `train`.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    regressor = HistGradientBoostingRegressor(
        max_iter=params["iterations"],
        learning_rate=params["learning_rate"],
        max_leaf_nodes=params["max_leaf_nodes"],
        min_samples_leaf=params["min_samples_leaf"],
        l2_regularization=params["l2_regularization"],
        max_features=params["max_features"],
        random_state=params["seed"],
        early_stopping=False,
    )
    left = training["log_minutes"].to_numpy() - expected_log_minutes(training)
    # The fitted model stores its number of threads: with more than one, each machine would write other bytes.
    with threadpool_limits(1):
        return regressor.fit(training[FEATURES].to_numpy(), left)


def regressor_bytes(regressor: Any) -> bytes:
    """Return the regressor in skops format, the same bytes from every process.

    The format is a zip archive. Its entries hold their time of writing, and its schema names each object by its address
    in memory. Here times become 1980, and addresses become the order of first use.
    """
    import skops.io

    normal = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(regressor))) as written, zipfile.ZipFile(normal, "w") as out:
        schema = json.loads(written.read(SCHEMA))
        numbers: dict[int, int] = {}
        entries = {SCHEMA: json.dumps(_numbered(schema, numbers), indent=1).encode()}
        for address, number in numbers.items():
            if f"{address}.npy" in written.NameToInfo:
                entries[f"{number}.npy"] = written.read(f"{address}.npy")
        for name, content in entries.items():
            out.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return normal.getvalue()


def _numbered(node: Any, numbers: dict[int, int]) -> Any:
    """Return a node of the schema whose object ids, and the files with their names, are numbered by first use."""
    if isinstance(node, list):
        return [_numbered(entry, numbers) for entry in node]
    if not isinstance(node, dict):
        return node
    if "__id__" in node:
        number = numbers.setdefault(node["__id__"], len(numbers))
        node = {**node, "__id__": number} | ({"file": f"{number}.npy"} if "file" in node else {})
    return {key: _numbered(value, numbers) for key, value in node.items()}


def input_example() -> pd.DataFrame:
    """Return two trips as input for the model, one of them without passengers and vendor."""
    return pd.DataFrame(
        {
            "pickup_datetime": pd.to_datetime(["2020-03-05 08:30:00", "2020-03-05 23:10:00"]),
            "pickup_location_id": np.array([161, 132], dtype=np.int64),
            "dropoff_location_id": np.array([237, 48], dtype=np.int64),
            "passenger_count": [1.0, np.nan],
            "vendor_id": [2.0, np.nan],
        }
    )[INPUTS]


def save(regressor: Any, history: Path, partition: date, out: Path) -> None:
    """Write the model directory `out` (MLflow pyfunc flavor, models from code); it replaces an older one.

    Args:
        regressor: from `fit`.
        history: folder of the history tables, which become part of the model.
        partition: the run's partition; its midnight is the model's time of creation.
        out: the model directory.
    """
    stage.quiet_mlflow()
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, Schema

    signature = ModelSignature(
        Schema(
            [
                ColSpec("datetime", "pickup_datetime"),
                ColSpec("long", "pickup_location_id"),
                ColSpec("long", "dropoff_location_id"),
                ColSpec("double", "passenger_count", required=False),
                ColSpec("double", "vendor_id", required=False),
            ]
        ),
        Schema([ColSpec("double")]),
    )
    content = regressor_bytes(regressor)
    digest = hashlib.sha256(content).hexdigest()
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / REGRESSOR
        path.write_bytes(content)
        save_model(
            path=out,
            python_model=str(Path(duration_model.__file__)),
            artifacts={"regressor": str(path), "history": str(history)},
            model_config={"regressor_sha256": digest},
            signature=signature,
            input_example=input_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            mlflow_model=Model(
                utc_time_created=f"{partition} 00:00:00.000000", model_uuid=uuid.uuid5(uuid.NAMESPACE_OID, digest).hex
            ),
        )
    _forget_paths(out)


def _forget_paths(folder: Path) -> None:
    """Remove from the model's description the paths from which its parts were saved; MLflow finds them by name."""
    from mlflow.models import Model

    model = Model.load(str(folder))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(folder / "MLmodel"))


def main() -> None:
    """Read `data/train.parquet` and `data/history`; write `model`."""
    training = pq.ParquetFile(stage.TRAIN).read().to_pandas()
    save(fit(training, stage.read_params("train")), stage.HISTORY, stage.read_partition(), stage.MODEL)


if __name__ == "__main__":
    sys.exit(stage.run(main))
