"""Measure receipts, restores and replays of real days: `.venv/bin/python tests/bench/ledger.py`, or `make bench`.

Records real consecutive days with the functions that the tasks call, on an S3 and an MLflow server of its own. Prints what a
day's receipt cost, how long a restore takes beside a plain copy of the same bytes, and what replays compared; writes all of it
to a JSON file. Exits with 1 when a restored or replayed day is not what was recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("plugins", "infra/local", "tests/contract")]
STATE = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local").absolute()

import trips  # noqa: E402
from airflow_configuration import airflow_variables  # noqa: E402
from buckets import apply_buckets, s3_client  # noqa: E402
from live_servers import free_ports, running  # noqa: E402
from origin import publish_checkout  # noqa: E402
from program_variables import s3_variables  # noqa: E402
from stack_model import RAW_BUCKET, STORE_BUCKET, Ports, Secrets, Stack  # noqa: E402

PIPELINE, TAG = "trip_duration", "v1.0.0"
AWS_CLI = "awscli==1.46.2"
COPIED = "plain"  # prefix of the restored day's files under their own names, for the plain copies
THREADS = 10  # as many as boto3's transfers have
ROUNDS = 3


def prepare(stack: Stack, first: date, last: date) -> None:
    """Land the days and their history, release the checkout's HEAD, and set the variables that Airflow's components have."""
    apply_buckets(stack)
    trips.land(first - timedelta(days=365), last, bucket=RAW_BUCKET, state=STATE, client=s3_client(stack))
    commit = publish_checkout(stack, os.environ)
    subprocess.run(["git", f"--git-dir={stack.origin}", "tag", TAG, commit], check=True)
    wanted = ("AIRFLOW_CONN_", "AIRFLOW_HOME", "RETRAIN_")
    os.environ.update({k: v for k, v in airflow_variables(stack).items() if k.startswith(wanted)})
    from retrain.run.release import Pin, Release, variable
    from retrain.work.environments import environment

    os.environ[f"AIRFLOW_VAR_{variable(PIPELINE).upper()}"] = Pin(Release(TAG, commit)).to_json()
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    # The release's environment is the same for every stack: built once, where its programs will find it again.
    own = stack.state / "retrain" / "environments"
    own.mkdir(parents=True)
    for project in (ROOT / "pipeline", ROOT / "infra" / "dvc"):
        built = environment.provide(project, STATE / "retrain" / "environments").path
        (own / built.name).symlink_to(built)


def record_day(services: Any, day: str) -> dict[str, Any]:
    """Run the tasks of one day up to its record; returns the cost of its push."""
    from retrain.tasks.push import push
    from retrain.tasks.record_run import record_run
    from retrain.tasks.remove_workspace import remove_workspace
    from retrain.tasks.reproduce import reproduce
    from retrain.tasks.resolve_run import resolve_run

    started = time.perf_counter()
    run = resolve_run(services, day, None, f"bench {day}", "backfill")
    reproduced = reproduce(services, run)
    pushed = push(services, run, reproduced)
    record_run(services, run, reproduced, pushed)
    remove_workspace(services, f"bench {day}")
    cost = {name: getattr(pushed, name) for name in ("objects", "bytes", "sent", "healed", "requests", "seconds")}
    return {"partition": day, **cost, "day_seconds": round(time.perf_counter() - started, 1)}


def fastest(what: Callable[[Path], Any], folder: Path) -> float:
    """The seconds of the fastest round; each round writes into a folder of its own."""
    taken = []
    for number in range(ROUNDS):
        to = folder / f"{what.__name__}-{number}"
        started = time.perf_counter()
        what(to)
        taken.append(time.perf_counter() - started)
    return round(min(taken), 2)


def compare_restore(stack: Stack, services: Any, record: Any, folder: Path) -> dict[str, Any]:
    """A verified restore beside two plain copies of the same files."""
    from retrain.archive import entry, restore

    client, restored = s3_client(stack), []

    def verified(to: Path) -> None:
        done = restore.restore(
            record, services.ledger, services.remote, services.deployment.repository, services.credentials, to,
            mirrors=stack.state / "retrain" / "git", environments=None,
            tools=stack.state / "retrain" / "environments", raw=None,
        )  # fmt: skip
        restored.append(done)

    taken = fastest(verified, folder)
    outputs = entry.outputs(record, services.ledger)
    paths = [
        p for o in outputs for p in sorted((restored[-1].path / o.path).rglob("*")) or [restored[-1].path / o.path]
    ]
    files = [str(path.relative_to(restored[-1].path)) for path in paths if path.is_file()]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda f: client.upload_file(str(restored[-1].path / f), STORE_BUCKET, f"{COPIED}/{f}"), files))

    def aws_s3_cp(to: Path) -> None:
        uv = os.environ["RETRAIN_UV"]
        command = [uv, "tool", "run", "--from", AWS_CLI, "aws", "s3", "cp", "--recursive", "--only-show-errors"]
        subprocess.run(
            [*command, f"s3://{STORE_BUCKET}/{COPIED}", to], env={**os.environ, **s3_variables(stack)}, check=True
        )

    def threads(to: Path) -> None:
        def one(name: str) -> None:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            client.download_file(STORE_BUCKET, f"{COPIED}/{name}", str(to / name))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, files))

    return {
        "partition": record.partition,
        "files": restored[-1].files,
        "bytes": restored[-1].bytes,
        "restore_seconds": taken,
        "aws_s3_cp_seconds": fastest(aws_s3_cp, folder),
        "boto3_seconds": fastest(threads, folder),
    }


def compare_replay(services: Any, record: Any) -> dict[str, Any]:
    """Compute one day again and compare every output with the record."""
    from retrain.archive import replay
    from retrain.work import workspace

    started = time.perf_counter()
    tools = workspace.home() / "environments"
    done = replay.replay(record, services.ledger, services.deployment, services.credentials, tools=tools)
    other = [asdict(output) for output in done.outputs if not output.same]
    return {
        "partition": record.partition,
        "outputs": len(done.outputs),
        "other": other,
        "repro_seconds": round(done.seconds, 1),
        "seconds": round(time.perf_counter() - started, 1),
    }


def table(found: dict[str, Any]) -> str:
    """The findings as text for a terminal."""
    lines = [f"{'receipt':12}{'objects':>9}{'MB':>8}{'sent':>7}{'requests':>10}{'seconds':>9}  proven by"]
    for day in (found["days"][0], found["days"][-1]):
        how = ", ".join(f"{count} {name}" for name, count in sorted(day["proven_by"].items()))
        lines.append(
            f"{day['partition']:12}{day['objects']:9}{day['bytes'] / 1e6:8.1f}{day['sent']:7}{day['requests']:10}{day['seconds']:9.1f}  {how}"
        )
    day = found["restore"]
    lines.append(
        f"restore of {day['partition']}, {day['files']} files, {day['bytes'] / 1e6:.1f} MB: {day['restore_seconds']} s verified; "
        f"aws s3 cp --recursive {day['aws_s3_cp_seconds']} s; boto3 with {THREADS} threads {day['boto3_seconds']} s"
    )
    lines += [
        f"replay of {day['partition']}: {day['outputs'] - len(day['other'])} of {day['outputs']} outputs the same, "
        f"{day['repro_seconds']} s without a cache ({day['seconds']} s with its environment)"
        for day in found["replays"]
    ]
    return "\n".join(lines)


def measure(stack: Stack, days: list[str], replays: int, folder: Path) -> dict[str, Any]:
    from retrain.airflow.adapters import services
    from retrain.archive import recorded_documents
    from retrain.archive.verify import verify
    from retrain.deployment.pipeline_file import load
    from retrain.store import ledger_index

    reach = services(load(ROOT / "dags" / "pipelines" / f"{PIPELINE}.yaml"))
    recorded = []
    for day in days:
        recorded.append(record_day(reach, day))
        sys.stderr.write(f"{day} recorded, {len(recorded)} of {len(days)}\n")
    records = {record.partition: record for record in reach.ledger.records(PIPELINE)}
    for day in recorded:
        receipt = reach.ledger.committed_receipt(records[day["partition"]])
        day["proven_by"] = Counter(proof.proven_by for proof in receipt.proofs)
    with ledger_index.opened(None, reach.ledger.url, PIPELINE) as index:
        documents = recorded_documents.of_all_days(reach.ledger, PIPELINE, index)
        checked = verify(list(records.values()), documents, reach.remote)
    chosen = [days[round(n * (len(days) - 1) / max(1, replays - 1))] for n in range(replays)]
    return {
        "days": recorded,
        "sound": checked.sound,
        "restore": compare_restore(stack, reach, records[days[-1]], folder),
        "replays": [compare_replay(reach, records[day]) for day in chosen],
    }


def main() -> int:
    """Record the days asked for, and measure."""
    parser = argparse.ArgumentParser(prog="ledger.py", description="Measure what the ledger costs and gives.")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2019, 9, 2), metavar="YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=14, metavar="N")
    parser.add_argument("--replays", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path, default=STATE / "ledger-bench.json", metavar="FILE")
    options = parser.parse_args()
    days = trips.days(options.first, options.first + timedelta(days=options.days - 1))
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stack = Stack(ROOT, folder / "state", Ports(*free_ports(5)), Secrets.generate())
        stack.state.mkdir()
        held.enter_context(running(stack, "s3"))
        prepare(stack, options.first, date.fromisoformat(days[-1]))
        held.enter_context(running(stack, "mlflow"))
        with redirect_stdout(sys.stderr):  # MLflow prints there
            found = measure(stack, days, options.replays, folder)
    options.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{table(found)}\n{options.out}\n")
    return 0 if found["sound"] and not any(day["other"] for day in found["replays"]) else 1


if __name__ == "__main__":
    sys.exit(main())
