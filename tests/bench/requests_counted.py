"""Count what the commands over a whole ledger cost: `.venv/bin/python tests/bench/requests_counted.py`, or `make bench-requests`.

Generates a ledger of ten pipelines and three years, starts an S3 server on it, and runs `history`, `history --stale`, `verify --all`
and `prune` twice each: without an index and with the index of the first time. Prints requests by kind, seconds and peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("infra/local", "tests/contract", "tests/bench")]

from airflow_configuration import airflow_variables  # noqa: E402
from buckets import apply_buckets  # noqa: E402
from generated_ledger import generate, pipeline_files  # noqa: E402
from live_servers import free_ports, running  # noqa: E402
from stack_model import Ports, Secrets, Stack  # noqa: E402

KEEP_DAYS = 400
COMMANDS = {
    "history": ("history",),
    "history STALE=1": ("history", "--stale"),
    "verify ALL=1": ("verify", "--all"),
    f"prune KEEP_DAYS={KEEP_DAYS}": ("prune", "--keep-days", str(KEEP_DAYS)),
}
_KINDS = ("LIST", "GET", "HEAD")
_LIMIT_SECONDS = 3600


@dataclass(frozen=True)
class CommandCost:
    """The cost of one command: requests by kind, seconds, peak memory in bytes. `index` is `cold` or `warm`."""

    command: str
    index: str
    requests: Mapping[str, int]
    seconds: float
    memory: int


def variables(stack: Stack, plugins: Path) -> dict[str, str]:
    """The environment of a command, as Airflow's components have it; its code comes from `plugins`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW", "RETRAIN_"))}
    wanted = ("AIRFLOW_CONN_", "AIRFLOW_HOME", "RETRAIN_")
    own = {name: value for name, value in airflow_variables(stack).items() if name.startswith(wanted)}
    home = {"RETRAIN_PIPELINES": str(stack.state / "pipelines"), "RETRAIN_HOME": str(stack.state / "retrain")}
    direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "AWS_EC2_METADATA_DISABLED": "true"}
    return {**kept, **own, **home, **direct, "PYTHONPATH": str(plugins)}


def run(stack: Stack, plugins: Path, pipeline: str, name: str, index: str) -> CommandCost:
    """Run one command on a pipeline, and read what it cost."""
    result = stack.state / "cost.json"
    counted = [sys.executable, str(Path(__file__).with_name("counted_command.py")), str(result)]
    done = subprocess.run(
        [*counted, "--pipeline", pipeline, "--json", *COMMANDS[name]],
        env=variables(stack, plugins), capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if found["status"] != 0:
        raise SystemExit(f"{name} ended with {found['status']}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return CommandCost(name, index, found["requests"], found["seconds"], found["memory"])


def table(costs: Sequence[CommandCost]) -> str:
    """The costs as text for a terminal."""
    lines = [f"{'command':24}{'index':>7}{'LIST':>7}{'GET':>8}{'HEAD':>7}{'all':>8}{'seconds':>9}{'peak MB':>9}"]
    for cost in costs:
        kinds = [cost.requests.get(kind, 0) for kind in _KINDS]
        counted = "".join(f"{count:>{width}}" for count, width in zip(kinds, (7, 8, 7), strict=True))
        total = sum(cost.requests.values())
        lines.append(
            f"{cost.command:24}{cost.index:>7}{counted}{total:>8}{cost.seconds:>9.1f}{cost.memory / 1e6:>9.0f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(
        prog="requests_counted.py", description="Count the requests of whole-ledger commands."
    )
    parser.add_argument("--pipelines", type=int, default=10, metavar="N")
    parser.add_argument("--days", type=int, default=1095, metavar="N")
    parser.add_argument("--objects", type=Path, help="the files of an earlier run of generated_ledger.py")
    parser.add_argument("--plugins", type=Path, default=ROOT / "plugins", help="the code to measure")
    parser.add_argument("--once", action="store_true", help="only without an index")
    options = parser.parse_args()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="bench-requests-")))
        stack = Stack(ROOT, folder / "state", Ports(*free_ports(6)), Secrets.generate())
        objects = stack.state / "s3" / "objects"
        objects.parent.mkdir(parents=True)
        if options.objects:
            objects.symlink_to(options.objects.absolute())
        made = generate(objects, options.pipelines, options.days, said=_say, reuse=bool(options.objects))
        pipeline_files(stack.state / "pipelines", made)
        held.enter_context(running(stack, "s3"))
        apply_buckets(stack)
        costs: list[CommandCost] = []
        for name in COMMANDS:
            shutil.rmtree(stack.state / "retrain" / "index", ignore_errors=True)
            for index in ("cold",) if options.once else ("cold", "warm"):
                costs.append(run(stack, options.plugins, made.pipelines[0], name, index))
                _say(table(costs[-1:]).splitlines()[1])
    sys.stdout.write(f"{table(costs)}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
