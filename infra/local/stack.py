"""The local stack: `stack.py up | down | status | run COMMAND…`.

up      starts Airflow, MLflow, S3, the Slack stand-in and the watch on the loopback interface, then waits until all are healthy
down    stops them, with all processes that they started; the data stays
status  shows every process; the exit code is 0 only if all are healthy
run     runs a command with the variables of stack.env, for example `run airflow dags list`
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from airflow_database import MigrationError, begin_migration, finish_migration
from buckets import BucketError, apply_buckets
from health import check_health
from launch_plans import differs_from_plan
from origin import LocalOriginError, publish_checkout
from port_holder import port_holder
from processes import end_processes, marked_processes, tree_memory
from program_variables import inherited_environment
from programs import Program, plan_programs
from readiness import ReadinessError, await_programs
from stack_loading import load_stack
from stack_model import SettingsError, Stack
from state_files import read_stack_file, write_stack_file
from supervision import SupervisionError, Supervisor, start_supervisor, supervisor_pid

ROOT = Path(__file__).resolve().parents[2]
_DOWN_SECONDS = 75


class StackError(Exception):
    """The stack did not reach the wanted state; the message says why and what to do."""


UP_ERRORS = (BucketError, MigrationError, ReadinessError, SettingsError, StackError, SupervisionError)


def up(stack: Stack) -> None:
    """Start every program that does not run, then wait until all are healthy.

    Raises:
        BucketError: the S3 server did not take its buckets.
        MigrationError: Airflow's database was not migrated.
        ReadinessError: a program did not come up.
        StackError: a port is taken, the running stack has other settings, or another `up` or `down` runs.
        SupervisionError: the supervisor did not start or does not answer.
    """
    began = time.monotonic()
    _require_tools(stack)
    programs = plan_programs(stack, os.environ)
    with _locked(stack):
        _start_or_find_supervisor(stack, programs)
        write_stack_file(stack)
        supervisor = Supervisor(stack)
        by_name = {program.name: program for program in programs}
        migration = begin_migration(stack)
        for name in ("s3", "slack", "mlflow"):
            supervisor.start(by_name[name])
        await_programs(stack, supervisor, [by_name["s3"]], began)
        if apply_buckets(stack):
            # The server saves bucket settings only when it stops: restart it once, so that they survive a crash.
            supervisor.restart(by_name["s3"])
            await_programs(stack, supervisor, [by_name["s3"]], began, quiet=True)
            apply_buckets(stack)
        if migration is not None:
            finish_migration(stack, migration, began)
        for program in programs:
            supervisor.start(program)
        origin = _publish(stack)
        await_programs(stack, supervisor, [p for p in programs if p.name != "s3"], began)
    print(f"Up after {time.monotonic() - began:.0f} s.")
    for label, url in (
        ("Airflow", stack.airflow_url),
        ("MLflow", stack.mlflow_url),
        ("Slack", stack.slack_url),
        ("Alerts", stack.alerts_url),
    ):
        print(f"  {label:8} {url}")
    print(f"  {'S3':8} {stack.s3_url}  (keys and all other variables: {stack.env_file})")
    print(f"  {'Git':8} {stack.origin}  ({origin})")


def down(stack: Stack) -> None:
    """Stop every program with all its child processes, even if the supervisor is gone. The data stays.

    Raises:
        StackError: processes do not end, or another `up` or `down` runs.
    """
    began = time.monotonic()
    with _locked(stack):
        ended = _stop(stack)
        for path in (*stack.run_dir.glob("*.json"), *stack.run_dir.glob("*.pid"), *stack.run_dir.glob("*.sock")):
            path.unlink(missing_ok=True)
        for path in stack.airflow_home.glob("airflow-*.pid"):
            path.unlink(missing_ok=True)
        stack.env_file.unlink(missing_ok=True)
    if ended:
        print(f"Down after {time.monotonic() - began:.0f} s; the data stays in {stack.state}.")
    else:
        print(f"Nothing was running on {stack.state}.")


def status(stack: Stack) -> bool:
    """Print every process with its state; returns True if all are healthy.

    Raises:
        SupervisionError: the supervisor runs but does not answer.
    """
    programs = plan_programs(stack, os.environ)
    pid = supervisor_pid(stack)
    if pid is None:
        leftovers = marked_processes(stack)
        print(f"No stack is up on {stack.state}. `make up` starts one.")
        if leftovers:
            print(f"{len(leftovers)} processes outlived their supervisor. `make down` ends them.")
        return False
    states = Supervisor(stack).states()
    health = check_health(stack, programs, states)
    print(f"{'process':26}{'state':12}{'pid':>8}  {'memory':>9}  {'address':24}{'health'}")
    for program in programs:
        state, answer = states.get(program.name), health[program.name]
        program_pid = state.pid if state else 0
        print(
            f"{program.name:26}{state.state.lower() if state else 'unknown':12}{program_pid or '-':>8}  "
            f"{_megabytes(tree_memory(program_pid) if program_pid else 0):>9}  {program.address or '-':24}{answer.detail}"
        )
    print(f"{'supervisord':26}{'running':12}{pid:>8}  {'':>9}  {'-':24}")
    print(f"Total resident memory {_megabytes(tree_memory(pid))} (shared pages count for each process).")
    return all(answer.healthy for answer in health.values())


def run(stack: Stack, command: Sequence[str]) -> None:
    """Replace this process by `command`, with the variables of stack.env. `airflow` is the stack's own Airflow.

    Raises:
        StackError: no command was given.
        SettingsError: the stack is not up, so it has no stack.env.
    """
    if not command:
        raise StackError("Name a command, for example `stack.py run airflow dags list`.")
    variables = inherited_environment(os.environ) | read_stack_file(stack.env_file)
    program = str(stack.airflow_bin) if command[0] == "airflow" else command[0]
    os.execvpe(program, [program, *command[1:]], variables)  # noqa: S606 - an argv list, and no shell is wanted


def _require_tools(stack: Stack) -> None:
    if not stack.airflow_bin.exists():
        raise StackError(f"{stack.airflow_bin} does not exist. Install Airflow's environment: `uv sync --locked`.")


@contextlib.contextmanager
def _locked(stack: Stack) -> Iterator[None]:
    """Hold the lock that keeps a second `up` or `down` off the same state folder."""
    stack.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (stack.run_dir / "stack.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StackError(
                f"Another `up` or `down` (pid {lock.read().strip()}) is running on {stack.state}. Wait for it, or end it."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _start_or_find_supervisor(stack: Stack, programs: Sequence[Program]) -> None:
    if supervisor_pid(stack) is not None:
        changed = [program.name for program in programs if differs_from_plan(stack, program, os.environ)]
        if changed:
            raise StackError(f"{', '.join(changed)} came up with other settings. `make down`, then `make up`.")
        return
    leftovers = marked_processes(stack)
    if leftovers:
        print(f"Ending {len(leftovers)} processes of a stack whose supervisor is gone.")
        end_processes(leftovers, grace_seconds=10)
    taken = [
        f"Port {program.port} for {program.name} is taken by {holder}. "
        f"Stop that, or choose another: {program.port_variable}={program.port + 1} make up"
        for program in programs
        if program.port and (holder := port_holder(program.port))
    ]
    if taken:
        raise StackError("\n".join(taken))
    for folder in ("airflow", "mlflow", "slack", "s3", "retrain"):
        (stack.state / folder).mkdir(parents=True, exist_ok=True)
    start_supervisor(stack, programs, os.environ)


def _publish(stack: Stack) -> str:
    try:
        return f"main is {publish_checkout(stack, os.environ)[:12]}"
    except LocalOriginError as error:
        print(f"Warning: {error}", file=sys.stderr, flush=True)
        return "see the warning above"


def _stop(stack: Stack) -> bool:
    pid = supervisor_pid(stack)
    if pid is not None:
        _shut_down_supervisor(stack, pid)
    leftovers = marked_processes(stack)
    alive = end_processes(leftovers, grace_seconds=10)
    if alive:
        raise StackError(f"These processes do not end, not even when killed: {[process.pid for process in alive]}.")
    return pid is not None or bool(leftovers)


def _shut_down_supervisor(stack: Stack, pid: int) -> None:
    # A supervisor that does not answer, or not in time, is ended with the other processes.
    with contextlib.suppress(SupervisionError):
        Supervisor(stack).shut_down()
        deadline = time.monotonic() + _DOWN_SECONDS
        while supervisor_pid(stack) == pid and time.monotonic() < deadline:
            time.sleep(0.1)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the stack; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("up", "down", "status", "run"))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="for run: the command and its arguments")
    chosen = parser.parse_args(arguments)
    actions: dict[str, Callable[[Stack], bool | None]] = {
        "up": up,
        "down": down,
        "status": status,
        "run": lambda stack: run(stack, chosen.rest),
    }
    try:
        outcome = actions[chosen.command](load_stack(ROOT, os.environ))
    except UP_ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # Such as a full disk, or a state folder of another user.
        print(
            f"{chosen.command} failed: {error}. Check the free disk space and the permissions of {error.filename or ROOT}.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Interrupted. `make down` stops what was started.", file=sys.stderr)
        return 130
    return 1 if outcome is False else 0


if __name__ == "__main__":
    sys.exit(main())
