"""The model as it is served: encodes a trip at its pickup, and predicts its minutes.

This one file is copied into the model directory, where MLflow runs it ("models from code") without the rest of the
pipeline, so that any release's model can score any day. Stage featurize imports its encoding from here too: training
and serving use the same code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.holiday import USFederalHolidayCalendar

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

INPUTS = ["pickup_datetime", "pickup_location_id", "dropoff_location_id", "passenger_count", "vendor_id"]
"""The columns that are known when a trip starts. Never add one that is known only later."""

FEATURES = [
    "pickup_log_minutes",
    "dropoff_log_minutes",
    "pair_log_minutes",
    "pickup_log_miles",
    "dropoff_log_miles",
    "pair_log_miles",
    "pair_trips",
    "slot_log_minutes",
    "minute_of_day",
    "day_of_week",
    "hour_of_week",
    "passenger_count",
    "vendor_id",
    "pickup_x",
    "pickup_y",
    "dropoff_x",
    "dropoff_y",
    "east",
    "north",
    "crow_miles",
]

SIZE = 266  # zone ids go up to 265; 0 is no zone, and replaces ids that are out of range
SUNDAY = 6
SLOTS = 7 * 48  # half hours of a week
REGRESSOR = "regressor.skops"
TREES = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@dataclass(frozen=True)
class History:
    """Sums over past trips by zone, pair of zones and time of the week. Sums, so that a single trip can be left out.

    Attributes:
        pickup, dropoff: (SIZE, 3) number of trips, sum of log minutes, sum of log miles, by zone.
        pair: (SIZE * SIZE, 3) the same by pickup * SIZE + dropoff.
        position: (SIZE, 2) pseudo-coordinates of the zones in miles, NaN for a zone without trips.
        slot: (SLOTS,) log minutes that trips of this half hour of the week take beyond their pair's average.
        zone_strength, pair_strength: weight of the prior, in trips, when a zone's and a pair's average is shrunk.
    """

    pickup: Floats
    dropoff: Floats
    pair: Floats
    position: Floats
    slot: Floats
    zone_strength: float
    pair_strength: float

    def save(self, folder: Path) -> None:
        """Write the tables as Parquet, zones and pairs without trips left out, and the strengths as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        zones = pd.DataFrame({"zone": np.arange(SIZE), "x": self.position[:, 0], "y": self.position[:, 1]})
        for name, table in (("pickup", self.pickup), ("dropoff", self.dropoff)):
            zones[[f"{name}_trips", f"{name}_log_minutes", f"{name}_log_miles"]] = table
        zones[(zones["pickup_trips"] > 0) | (zones["dropoff_trips"] > 0)].to_parquet(
            folder / "zones.parquet", index=False
        )
        seen = np.flatnonzero(self.pair[:, 0])
        pairs = pd.DataFrame({"pickup": seen // SIZE, "dropoff": seen % SIZE})
        pairs[["trips", "log_minutes", "log_miles"]] = self.pair[seen]
        pairs.to_parquet(folder / "pairs.parquet", index=False)
        pd.DataFrame({"slot": np.arange(SLOTS), "log_minutes": self.slot}).to_parquet(
            folder / "slots.parquet", index=False
        )
        strengths = {"zone_strength": self.zone_strength, "pair_strength": self.pair_strength}
        (folder / "strengths.json").write_text(json.dumps(strengths, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> History:
        """Read a folder that `save` wrote."""
        zones, pairs = pd.read_parquet(folder / "zones.parquet"), pd.read_parquet(folder / "pairs.parquet")
        position = np.full((SIZE, 2), np.nan)
        position[zones["zone"]] = zones[["x", "y"]]
        by_zone: dict[str, Floats] = {}
        for name in ("pickup", "dropoff"):
            by_zone[name] = np.zeros((SIZE, 3))
            by_zone[name][zones["zone"]] = zones[[f"{name}_trips", f"{name}_log_minutes", f"{name}_log_miles"]]
        pair = np.zeros((SIZE * SIZE, 3))
        pair[pairs["pickup"] * SIZE + pairs["dropoff"]] = pairs[["trips", "log_minutes", "log_miles"]]
        slot = pd.read_parquet(folder / "slots.parquet")["log_minutes"].to_numpy()
        strengths: dict[str, float] = json.loads((folder / "strengths.json").read_text())
        return cls(by_zone["pickup"], by_zone["dropoff"], pair, position, slot, **strengths)


def zone_index(zones: pd.Series) -> Ints:
    """Return zone ids as positions in a History's tables; an id out of range becomes 0, which has no trips."""
    ids = pd.to_numeric(zones).fillna(0).to_numpy(dtype=np.int64)
    return np.where((ids > 0) & (ids < SIZE), ids, 0)


def weekday(pickup: pd.Series) -> Ints:
    """Return the day of the week of local pickup times, 0 for Monday; a federal holiday counts as a Sunday.

    The streets are as empty as on a Sunday, and a year of history has too few holidays to learn from.
    """
    day = pickup.dt.normalize()
    holidays = USFederalHolidayCalendar().holidays(day.min(), day.max())
    return np.where(day.isin(holidays), SUNDAY, day.dt.day_of_week).astype(np.int64)


def slot_index(pickup: pd.Series) -> Ints:
    """Return the half hour of the week, 0 for Monday 00:00, of local pickup times; see `weekday`."""
    half_hour = pickup.dt.hour * 2 + pickup.dt.minute // 30
    return np.asarray(weekday(pickup) * 48 + half_hour.to_numpy(dtype=np.int64))


def averages(rows: pd.DataFrame, history: History, own: Floats | None = None) -> dict[str, Floats]:
    """Return shrunk averages of log minutes and log miles for each row's zones and pair of zones.

    A zone's average is shrunk towards that of all trips, a pair's towards the sum of its two zones' deviations, so that
    an unseen pair gets an estimate too. See Micci-Barreca, "A preprocessing scheme for high-cardinality categorical
    attributes", SIGKDD Explorations 3(1), 2001.

    Args:
        rows: (n) rows with the columns of INPUTS.
        history: the tables.
        own: (n, 2) log minutes and log miles of the rows if the history was built from them: each row is then left out
            of its own averages. None otherwise.
    """
    pickup, dropoff = zone_index(rows["pickup_location_id"]), zone_index(rows["dropoff_location_id"])
    one = 0.0 if own is None else 1.0
    pair_rows = history.pair[pickup * SIZE + dropoff]
    out: dict[str, Floats] = {"pair_trips": np.log1p(pair_rows[:, 0] - one)}
    total = history.pickup.sum(axis=0)

    def shrunk(table: Floats, column: int, mine: Floats | float, prior: Floats | float, strength: float) -> Floats:
        return np.asarray((table[:, column] - mine + strength * prior) / (table[:, 0] - one + strength))

    for column, unit in ((1, "minutes"), (2, "miles")):
        mine = 0.0 if own is None else own[:, column - 1]
        overall = (total[column] - mine) / (total[0] - one)
        from_pickup = shrunk(history.pickup[pickup], column, mine, overall, history.zone_strength)
        to_dropoff = shrunk(history.dropoff[dropoff], column, mine, overall, history.zone_strength)
        prior = from_pickup + to_dropoff - overall
        out[f"pickup_log_{unit}"], out[f"dropoff_log_{unit}"] = from_pickup, to_dropoff
        out[f"pair_log_{unit}"] = shrunk(pair_rows, column, mine, prior, history.pair_strength)
    return out


def encode(rows: pd.DataFrame, history: History, own: Floats | None = None) -> pd.DataFrame:
    """Return the features (n, len(FEATURES)) of rows with the columns of INPUTS; see `averages` for `own`."""
    columns: dict[str, Any] = averages(rows, history, own)
    time = rows["pickup_datetime"].dt
    columns["slot_log_minutes"] = history.slot[slot_index(rows["pickup_datetime"])]
    columns["minute_of_day"] = (time.hour * 60 + time.minute).to_numpy(dtype=np.float64)
    columns["day_of_week"] = weekday(rows["pickup_datetime"]).astype(np.float64)
    columns["hour_of_week"] = columns["day_of_week"] * 24 + columns["minute_of_day"] / 60
    for name in ("passenger_count", "vendor_id"):
        columns[name] = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    start = history.position[zone_index(rows["pickup_location_id"])]
    end = history.position[zone_index(rows["dropoff_location_id"])]
    way = end - start
    columns["pickup_x"], columns["pickup_y"] = start.T
    columns["dropoff_x"], columns["dropoff_y"] = end.T
    columns["east"], columns["north"] = way.T
    columns["crow_miles"] = np.hypot(*way.T)
    return pd.DataFrame(columns, index=rows.index)[FEATURES]


def expected_log_minutes(features: pd.DataFrame) -> Floats:
    """Return the log minutes (n,) that history alone predicts: the pair's average plus the effect of the half hour.

    The regressor learns only the rest, for which 28 days of trips are enough.
    """
    return (features["pair_log_minutes"] + features["slot_log_minutes"]).to_numpy(dtype=np.float64)


def predict_minutes(features: pd.DataFrame, regressor: Any) -> Floats:
    """Return the predicted minutes (n,) for features from `encode`."""
    return np.asarray(np.exp(expected_log_minutes(features) + regressor.predict(features.to_numpy())))


def _register_with_mlflow() -> None:
    from mlflow.models import set_model
    from mlflow.pyfunc.model import PythonModel

    class DurationModel(PythonModel):  # type: ignore[misc, unused-ignore]
        """Minutes of a taxi trip, from what is known at pickup."""

        def load_context(self, context: Any) -> None:
            import skops.io

            path = Path(context.artifacts["regressor"])
            expected = context.model_config["regressor_sha256"]
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            # The trees hold raw node indices: a changed file could make them read out of bounds.
            if found != expected:
                raise ValueError(
                    f"{path} has sha256 {found}, the model was saved with {expected}; fetch the model again."
                )
            self.regressor = skops.io.load(path, trusted=TREES)
            self.history = History.load(Path(context.artifacts["history"]))

        # MLflow resolves these type hints at run time, so their names must be defined in this module.
        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Floats:  # noqa: ARG002
            # Passenger count and vendor may be absent: some real trips lack them too.
            rows = model_input.reindex(columns=INPUTS)
            return predict_minutes(encode(rows, self.history), self.regressor)

    set_model(DurationModel())


# Stages import this file for its encoding, without the cost of importing MLflow. MLflow runs it under another name.
if __name__ != "pipeline.duration_model":
    _register_with_mlflow()
