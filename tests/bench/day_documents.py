"""Compute the pipeline's reports on every real day, without a server: `pipeline/.venv/bin/python tests/bench/day_documents.py`.

Trains, tests and compares each day with the pipeline's own functions and params.yaml, in memory, and keeps the drift
report and the metrics of each as one line of JSON. The file is named after the code, the parameters and the data that
made it, so a day is computed once, and a change of what alerts is judged on them within seconds. Prints the file's path.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

# One thread per process: the days are spread over processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import pandas as pd  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from pipeline import stage  # noqa: E402
from pipeline.drift import report  # noqa: E402
from pipeline.duration_model import encode, predict_minutes  # noqa: E402
from pipeline.evaluate import evaluate, importance  # noqa: E402
from pipeline.featurize import featurize, pair_medians  # noqa: E402
from pipeline.prepare import prepare  # noqa: E402
from pipeline.train import fit  # noqa: E402
from pipeline.window import days_before, part_path, read_days, same_weekdays_before  # noqa: E402

PARAMS = ROOT / "params.yaml"


@cache
def all_trips(folder: Path) -> pd.DataFrame:
    """Return the clean trips of every day, oldest first. A process reads them once: a window is a slice of them."""
    return read_days(folder, sorted(date.fromisoformat(path.name.removeprefix("dt=")) for path in folder.glob("dt=*")))


def between(trips: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return the trips of the days from `first` to `last`, both included."""
    begin, end = trips["day"].searchsorted([pd.Timestamp(first), pd.Timestamp(last + timedelta(days=1))])
    return trips.iloc[begin:end].reset_index(drop=True)


def document(partition: date, folder: Path) -> dict[str, Any]:
    """Return the drift report and the metrics of a partition, as the stages would write them from the clean trips in `folder`."""
    params = {name: stage.read_params(name, PARAMS) for name in ("featurize", "train", "evaluate", "drift")}
    trips, history_days = all_trips(folder), days_before(partition, params["featurize"]["history_days"])
    past = between(trips, history_days[0], history_days[-1])
    history, training = featurize(past, partition, params["featurize"])
    regressor = fit(training, params["train"])

    def predict(rows: pd.DataFrame) -> Any:
        return predict_minutes(encode(rows, history), regressor)

    reference = same_weekdays_before(partition, params["drift"]["reference_weeks"])
    both = pd.concat([between(trips, day, day) for day in [*reference, partition]], ignore_index=True)
    both["predicted_min"] = predict(both)
    rows = both[both["day"] == pd.Timestamp(partition)]
    metrics = evaluate(rows, rows["predicted_min"].to_numpy(), pair_medians(past))
    metrics["importance"] = importance(both, predict, params["evaluate"]["seed"])
    summary, _ = report(both, partition, params["drift"], metrics["importance"])
    return {"drift": summary, "metrics": metrics}


def digest(raw: Path) -> str:
    """Return the digest in the file's name: of the pipeline's code, its parameters and environment, and the raw data."""
    files = [*sorted((ROOT / "pipeline").glob("*.py")), ROOT / "pipeline" / "uv.lock", PARAMS, Path(__file__)]
    sums = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()]
    sums += [f"{path.parent.name} {path.stat().st_size}" for path in sorted(raw.glob("dt=*/part-0.parquet"))]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()[:16]


def main() -> int:
    """Compute the days that the file lacks, on two processes, and print the file's path."""
    parser = argparse.ArgumentParser(prog="day_documents.py", description="Report on every real day, once.")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2018, 2, 1), metavar="YYYY-MM-DD")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2020, 12, 31), metavar="YYYY-MM-DD")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    state = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local")
    parser.add_argument("--raw", type=Path, default=state / "raw" / "yellow", metavar="DIR")
    parser.add_argument("--out", type=Path, default=state / "day_documents", metavar="DIR")
    options = parser.parse_args()
    days = [options.first + timedelta(days=n) for n in range((options.last - options.first).days + 1)]
    if not days or not part_path(options.raw, days[-1]).is_file():
        sys.stderr.write(
            f"There are no trips on {options.last} in {options.raw}; run `python infra/local/trips cut` first.\n"
        )
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{digest(options.raw)}.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.is_file() else []
    # An interrupted writer may have left half a line.
    known = {json.loads(line)["drift"]["partition"] for line in lines if line.endswith("\n")}
    missing = [day for day in days if day.isoformat() not in known and is_usable(options.raw, day)]
    if missing:
        compute(missing, options.raw, file, options.processes)
    sys.stdout.write(f"{file}\n")
    return 0


def is_usable(raw: Path, day: date) -> bool:
    """True if stage prepare accepts the day. A day that did not land, or has too few rows, has no report."""
    floor: int = stage.read_params("prepare", PARAMS)["min_rows"]
    path = part_path(raw, day)
    return path.is_file() and pq.read_metadata(path).num_rows >= floor


def compute(days: list[date], raw: Path, file: Path, processes: int) -> None:
    """Append each day's document to the file as soon as it is there."""
    with tempfile.TemporaryDirectory() as folder, file.open("a") as out:
        trips = Path(folder) / "trips"
        params = stage.read_params("prepare", PARAMS)
        prepare(days[-1], params, raw=raw, trips=trips, quarantine=Path(folder) / "quarantine.parquet")
        with ProcessPoolExecutor(processes) as pool:
            for number, found in enumerate(pool.map(document, days, [trips] * len(days)), start=1):
                out.write(json.dumps(found, sort_keys=True) + "\n")
                out.flush()
                if number % 20 == 0 or number == len(days):
                    sys.stderr.write(f"{number} of {len(days)} days\n")


if __name__ == "__main__":
    sys.exit(main())
