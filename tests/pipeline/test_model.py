"""The model's inputs and quality, and that it is the same wherever it is trained or served."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import CALM, ROOT, Featurized, Params, run_in

from pipeline.duration_model import FEATURES, INPUTS, SIZE, History, averages, encode, predict_minutes, weekday
from pipeline.evaluate import importance, mae_interval, median_predictions
from pipeline.featurize import build_history, featurize, logs, pair_medians
from pipeline.score import measures
from pipeline.train import fit, save
from pipeline.window import days_before, read_days

# In a process of its own, with another hash seed and number of threads; argv: trips, partition, out.
TRAIN_AGAIN = """
import sys
from datetime import date
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline import featurize, stage, train
from pipeline.window import days_before, read_days
root, trips, partition, out = Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), Path(sys.argv[4])
past = read_days(trips, days_before(partition, 365))
with featurize.threadpool_limits(1):
    history, training = featurize.featurize(past, partition, stage.read_params("featurize", root / "params.yaml"))
history.save(out / "history")
regressor = train.fit(training, stage.read_params("train", root / "params.yaml"))
train.save(regressor, out / "history", partition, out / "model")
"""

# Run where no pipeline can be imported.
SERVE = """
import importlib.util, json, sys
assert importlib.util.find_spec("pipeline") is None
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.read_parquet(sys.argv[2])
example = model.input_example
two = pd.DataFrame({
    "pickup_datetime": pd.to_datetime(["2020-03-05 08:30", "2031-07-04 08:30"]),
    "pickup_location_id": [161, 9999], "dropoff_location_id": [237, -3],
})
print(json.dumps({"rows": list(model.predict(rows)), "example": list(model.predict(example)), "two": list(model.predict(two))}))
"""


@pytest.fixture(scope="module")
def made(trips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with history and model of the calm day, made by another process with another hash seed and more threads than DVC's."""
    out = tmp_path_factory.mktemp("made")
    done = run_in(
        out,
        *(sys.executable, "-c", TRAIN_AGAIN, str(ROOT), str(trips), CALM.isoformat(), str(out)),
        PYTHONHASHSEED="2",
        OMP_NUM_THREADS="2",
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out


def contents(history: Path, model: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a history and a model."""
    files = [path for folder in (history, model) for path in folder.rglob("*") if path.is_file()]
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in files}


def test_trained_again_in_another_process_the_model_is_the_same_bytes(made: Path, checkout: Path) -> None:
    first = contents(checkout / "data" / "history", checkout / "model")
    assert contents(made / "history", made / "model") == first
    assert {"model/MLmodel", "model/duration_model.py", "artifacts/regressor.skops", "history/pairs.parquet"} <= set(
        first
    )


def test_the_model_names_no_path_of_the_machine_it_was_made_on(made: Path) -> None:
    text = (made / "model" / "MLmodel").read_text()
    assert str(ROOT) not in text
    assert "/tmp" not in text


@pytest.mark.slow
def test_the_model_serves_where_no_pipeline_is_installed(
    made: Path, featurized: Featurized, params: Params, tmp_path: Path
) -> None:
    rows = featurized.test
    pq_path = tmp_path / "rows.parquet"
    rows[INPUTS].to_parquet(pq_path, index=False)
    argv = [sys.executable, "-I", "-c", SERVE, str(made / "model"), str(pq_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    regressor = fit(featurized.training, params("train"))
    assert answer["rows"] == pytest.approx(predict_minutes(encode(rows, featurized.history), regressor))
    assert all(0.5 < minutes < 180 for minutes in answer["example"] + answer["two"])


def test_a_model_whose_trees_were_changed_is_not_loaded(made: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(made / "model", model)
    path = model / "artifacts" / "regressor.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    rows = tmp_path / "rows.parquet"
    pd.DataFrame({"duration_min": [1.0]}).to_parquet(rows)
    done = run_in(tmp_path, "python", "-m", "pipeline.score", str(model), str(rows), "out.json", PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "the model was saved with" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_scoring_a_model_leaves_its_folder_as_it_was(made: Path, featurized: Featurized, tmp_path: Path) -> None:
    rows, model = tmp_path / "rows.parquet", tmp_path / "model"
    shutil.copytree(made / "model", model)
    before = sorted(model.rglob("*"))
    featurized.test.to_parquet(rows, index=False)
    argv = ("python", "-m", "pipeline.score", str(model), str(rows), "out.json")
    done = run_in(tmp_path, *argv, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found) == {"rows", "mae", "rmse", "rmsle", "r2", "bias"}
    assert found["mae"] < 3.6
    assert sorted(model.rglob("*")) == before


@pytest.mark.slow
def test_rows_without_a_column_of_the_model_are_refused_by_name(made: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    pd.DataFrame({"pickup_datetime": pd.to_datetime(["2020-03-05"]), "duration_min": [1.0]}).to_parquet(rows)
    argv = ("python", "-m", "pipeline.score", str(made / "model"), str(rows), "out.json")
    done = run_in(tmp_path, *argv, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "no column pickup_location_id, dropoff_location_id" in done.stderr.splitlines()[-1]


def test_permuting_what_is_known_only_later_changes_no_prediction(
    featurized: Featurized, params: Params, trips: Path
) -> None:
    """The outcomes of the day itself are shuffled before anything is computed; history and predictions stay equal."""
    shuffled = featurized.test.copy()
    order = np.random.default_rng(1).permutation(len(shuffled))
    for column in ("duration_min", "distance_mi"):
        shuffled[column] = shuffled[column].to_numpy()[order]
    everything = pd.concat([read_days(trips, days_before(CALM, 365)), shuffled], ignore_index=True)
    past = everything[everything["day"] < pd.Timestamp(CALM)]
    history, training = featurize(past, CALM, params("featurize"))
    regressor = fit(training, params("train"))
    honest = fit(featurized.training, params("train"))
    expected = predict_minutes(encode(featurized.test, featurized.history), honest)
    assert np.array_equal(predict_minutes(encode(shuffled, history), regressor), expected)


def test_trips_of_the_partition_in_its_own_history_are_an_error(trips: Path, params: Params) -> None:
    with pytest.raises(ValueError, match="which is not past"):
        featurize(read_days(trips, [*days_before(CALM, 40), CALM]), CALM, params("featurize"))


def test_the_model_takes_nothing_that_is_known_only_after_the_trip() -> None:
    assert set(INPUTS) == {
        "pickup_datetime",
        "pickup_location_id",
        "dropoff_location_id",
        "passenger_count",
        "vendor_id",
    }


def test_features_come_from_the_input_columns_alone(featurized: Featurized) -> None:
    whole = encode(featurized.test, featurized.history)
    pd.testing.assert_frame_equal(whole, encode(featurized.test[INPUTS], featurized.history))
    assert list(whole.columns) == FEATURES


def test_a_training_row_is_left_out_of_its_own_averages(trips: Path, params: Params) -> None:
    past = read_days(trips, days_before(CALM, 30))
    history = build_history(past, params("featurize"))
    row = past.iloc[[0]]
    without = build_history(past.iloc[1:], params("featurize"))
    left_out = averages(row, history, logs(row))
    for name, value in averages(row, without).items():
        assert left_out[name] == pytest.approx(value), name


def test_history_is_the_same_after_saving_and_loading(featurized: Featurized, tmp_path: Path) -> None:
    featurized.history.save(tmp_path)
    loaded = History.load(tmp_path)
    pd.testing.assert_frame_equal(encode(featurized.test, loaded), encode(featurized.test, featurized.history))


def test_pseudo_coordinates_show_how_far_zones_are_apart(featurized: Featurized) -> None:
    """Zones 132 (JFK) and 138 (LaGuardia) are about 10 miles apart, 161 and 162 (both Midtown) next to each other."""
    place = featurized.history.position
    assert place.shape == (SIZE, 2)
    assert 6 < np.hypot(*(place[132] - place[138])) < 14
    assert np.hypot(*(place[161] - place[162])) < 1.5


def test_a_federal_holiday_counts_as_a_sunday() -> None:
    days = pd.Series(pd.to_datetime(["2019-07-04 12:00", "2019-07-05 12:00", "2019-07-07 12:00"]))
    assert list(weekday(days)) == [6, 4, 6]


def test_a_pair_never_seen_falls_back_to_the_median_of_all_trips() -> None:
    trips = pd.DataFrame(
        {"pickup_location_id": [1, 1, 2], "dropoff_location_id": [5, 5, 6], "duration_min": [10.0, 20, 60]}
    )
    rows = pd.DataFrame({"pickup_location_id": [1, 9], "dropoff_location_id": [5, 9]})
    by_pair, overall = median_predictions(rows, pair_medians(trips))
    assert list(by_pair) == [15, 20]
    assert list(overall) == [20, 20]


def test_measures_of_a_known_case() -> None:
    found = measures(np.array([12.0, 18.0]), np.array([10.0, 20.0]))
    assert found == {"mae": 2.0, "rmse": 2.0, "bias": 0.0, "r2": 0.84, "rmsle": pytest.approx(0.13739, abs=1e-3)}


def test_the_interval_of_a_known_error() -> None:
    # Errors 1, 2, 3: mean 2, standard error 1 / sqrt(3), and Student's t of two degrees of freedom is 4.3027.
    found = mae_interval(np.array([11.0, 8.0, 13.0]), np.array([10.0, 10.0, 10.0]))
    assert found == {"mae_low": 0.0, "mae_high": pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)}


def test_the_error_of_a_single_row_is_its_own_interval() -> None:
    assert mae_interval(np.array([12.0]), np.array([10.0])) == {"mae_low": 2.0, "mae_high": 2.0}


def test_importance_goes_to_the_inputs_that_the_model_uses(featurized: Featurized, params: Params) -> None:
    regressor = fit(featurized.training, params("train"))

    def predict(rows: pd.DataFrame) -> np.ndarray:
        return predict_minutes(encode(rows, featurized.history), regressor)

    rows = featurized.test.assign(predicted_min=predict(featurized.test))
    found = importance(rows, predict, 0)
    assert list(found) == INPUTS
    assert sum(found.values()) == pytest.approx(1, abs=0.001)
    assert min(found["pickup_location_id"], found["dropoff_location_id"]) > 0.3 > found["pickup_datetime"]
    assert found["vendor_id"] < 0.02
    assert importance(rows, predict, 0) == found


def test_a_model_that_uses_no_input_has_no_importance(featurized: Featurized) -> None:
    rows = featurized.test.assign(predicted_min=10.0)
    assert set(importance(rows, lambda rows: np.full(len(rows), 10.0), 0).values()) == {0.0}


def test_equal_durations_have_an_r2_of_zero() -> None:
    assert measures(np.array([10.0, 11.0]), np.array([10.0, 10.0]))["r2"] == 0


@pytest.mark.parametrize("day", [date(2019, 8, 14), date(2019, 10, 19), date(2019, 12, 3), date(2020, 3, 5)], ids=str)
def test_the_model_clearly_beats_both_baselines_on_ordinary_days(day: date, trips: Path, params: Params) -> None:
    past, rows = read_days(trips, days_before(day, 365)), read_days(trips, [day])
    history, training = featurize(past, day, params("featurize"))
    predicted = predict_minutes(encode(rows, history), fit(training, params("train")))
    actual = rows["duration_min"].to_numpy()
    by_pair, overall = (measures(p, actual)["mae"] for p in median_predictions(rows, pair_medians(past)))
    assert measures(predicted, actual)["mae"] < 0.95 * by_pair < overall


def test_saving_replaces_an_earlier_model(featurized: Featurized, params: Params, tmp_path: Path) -> None:
    featurized.history.save(tmp_path / "history")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "stale").write_text("of another day")
    save(fit(featurized.training, params("train")), tmp_path / "history", CALM, tmp_path / "model")
    assert not (tmp_path / "model" / "stale").exists()
    assert pq.read_metadata(tmp_path / "model" / "artifacts" / "history" / "pairs.parquet").num_rows > 3000
