"""Measure the model over many days: `pipeline/.venv/bin/python tests/bench/quality.py`.

Trains and tests one model a day with the pipeline's own functions and params.yaml, prints the means, writes every day
to a JSON file, and exits with 1 below the promised quality. The default range is the second half of 2019.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

# One thread per process: the days are spread over processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import pyarrow.parquet as pq  # noqa: E402
from day_documents import all_trips, between  # noqa: E402

from pipeline import stage  # noqa: E402
from pipeline.duration_model import encode, predict_minutes  # noqa: E402
from pipeline.evaluate import evaluate  # noqa: E402
from pipeline.featurize import featurize, pair_medians  # noqa: E402
from pipeline.prepare import prepare  # noqa: E402
from pipeline.train import fit  # noqa: E402
from pipeline.window import days_before, part_path  # noqa: E402

MAX_MAE = 4.15
MIN_R2 = 0.68
MIN_WINS = 0.96
MEASURES = ("mae", "rmse", "rmsle", "r2", "bias")


def measure(partition: date, trips: Path) -> dict[str, Any]:
    """Return the metrics of the partition, as stage evaluate would write them, with its date and the seconds taken."""
    started = time.process_time()
    params = stage.read_params("featurize", ROOT / "params.yaml")
    window = days_before(partition, params["history_days"])
    past = between(all_trips(trips), window[0], window[-1])
    history, training = featurize(past, partition, params)
    regressor = fit(training, stage.read_params("train", ROOT / "params.yaml"))
    rows = between(all_trips(trips), partition, partition)
    predicted = predict_minutes(encode(rows, history), regressor)
    found = evaluate(rows, predicted, pair_medians(past))
    return {"partition": partition.isoformat(), **found, "cpu_seconds": round(time.process_time() - started, 2)}


def summarise(days: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the unweighted means over days, and the share of days on which the model beats the pair median in MAE."""
    names = ("model", "pair_median", "global_median")
    means = {name: {m: sum(day[name][m] for day in days) / len(days) for m in MEASURES} for name in names}
    wins = sum(day["model"]["mae"] < day["pair_median"]["mae"] for day in days) / len(days)
    return {"days": len(days), "means": means, "wins": wins}


def table(summary: dict[str, Any], cpu: float) -> str:
    """Return the summary as text for a terminal."""
    lines = [f"{'mean over ' + str(summary['days']) + ' days':22}" + "".join(f"{m:>9}" for m in MEASURES)]
    lines += [f"{name:22}" + "".join(f"{v[m]:9.3f}" for m in MEASURES) for name, v in summary["means"].items()]
    lines.append(f"better than the pair median on {summary['wins']:.1%} of days; {cpu:.2f} CPU s a day")
    return "\n".join(lines)


def shortfalls(summary: dict[str, Any]) -> list[str]:
    """Say in which way the promised quality is missed, if it is."""
    model = summary["means"]["model"]
    return [
        text
        for missed, text in (
            (model["mae"] > MAX_MAE, f"mean MAE {model['mae']:.3f} min is above {MAX_MAE}"),
            (model["r2"] < MIN_R2, f"mean R2 {model['r2']:.3f} is below {MIN_R2}"),
            (summary["wins"] < MIN_WINS, f"the pair median wins on {1 - summary['wins']:.1%} of days"),
        )
        if missed
    ]


def main() -> int:
    """Run the days asked for on two processes."""
    parser = argparse.ArgumentParser(prog="quality.py", description="Measure the model over many days.")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2019, 7, 1), metavar="YYYY-MM-DD")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2019, 12, 31), metavar="YYYY-MM-DD")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth day, for a quick look")
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    state = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local")
    parser.add_argument("--raw", type=Path, default=state / "raw" / "yellow", metavar="DIR")
    parser.add_argument("--out", type=Path, default=state / "quality.json", metavar="FILE")
    options = parser.parse_args()
    days = [options.first + timedelta(days=n) for n in range(0, (options.last - options.first).days + 1, options.every)]
    if not days or not part_path(options.raw, days[-1]).is_file():
        sys.stderr.write(
            f"There are no trips on {options.last} in {options.raw}; run `python infra/local/trips cut` first.\n"
        )
        return 1
    with tempfile.TemporaryDirectory() as folder:
        trips = Path(folder) / "trips"
        params = stage.read_params("prepare", ROOT / "params.yaml")
        prepare(days[-1], params, raw=options.raw, trips=trips, quarantine=Path(folder) / "quarantine.parquet")
        # A day below the floor is refused by stage prepare, so no model is made for it.
        usable = [day for day in days if pq.read_metadata(part_path(trips, day)).num_rows >= params["min_rows"]]
        results = []
        with ProcessPoolExecutor(options.processes) as pool:
            for day in pool.map(measure, usable, [trips] * len(usable)):
                results.append(day)
                if len(results) % 10 == 0 or len(results) == len(usable):
                    sys.stderr.write(f"{len(results)} of {len(usable)} days\n")
    summary = summarise(results)
    missed = shortfalls(summary)
    content = {**summary, "missed": missed, "by_day": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    cpu = sum(day["cpu_seconds"] for day in results) / len(results)
    sys.stdout.write(f"{table(summary, cpu)}\n{options.out}\n")
    for sentence in missed:
        sys.stderr.write(f"Below the promised quality: {sentence}.\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
