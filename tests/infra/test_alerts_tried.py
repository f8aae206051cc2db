"""Alerts of the machinery as they reach Slack, each tried by doing it: processes killed, disks filled.

Real Prometheus and Alertmanager with the deployment's rules and texts, and the stand-in for Slack.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from loopback import SlackServer, wait_until
from machinery_programs import MB
from running_machinery import Machinery, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machinery]:
    with ExitStack() as stack:
        slack = stack.enter_context(SlackServer(tmp_path_factory.mktemp("slack")))
        yield run(tmp_path_factory.mktemp("machinery"), slack, stack)


@pytest.fixture(autouse=True)
def _nothing_fires(machinery: Machinery) -> Iterator[None]:
    """Each test starts without an alert and leaves none; otherwise the next one reads the messages of two faults."""
    machinery.place.slack.control("reset", {})
    yield
    wait_until(machinery.well, "every alert is over", 90)


@contextmanager
def filled(folder: Path, megabytes: int) -> Iterator[None]:
    """A folder with a file of so many megabytes, for a while."""
    file = folder / "filled"
    file.write_bytes(bytes(megabytes * MB))
    try:
        yield
    finally:
        file.unlink()


def kill_for_lack_of_memory() -> None:
    """Run a process that wants more memory than its control group has. Skips the test where no group can be made."""
    root = Path("/sys/fs/cgroup")
    version_2 = (root / "cgroup.controllers").exists()
    group = (root if version_2 else root / "memory") / f"machinery-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.max" if version_2 else "memory.limit_in_bytes")).write_text(str(20 * MB))
    except OSError as error:
        pytest.skip(f"NOT TRIED: no control group can be made here: {error}")
    try:
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group]
        ended = subprocess.run([*enter, sys.executable, "-c", "bytearray(100 * 2**20)"], check=False)
        assert ended.returncode == -signal.SIGKILL
    finally:
        group.rmdir()


def test_dead_workers_are_reported_with_the_days_that_wait(machinery: Machinery) -> None:
    machinery.kill("worker-1", "worker-2")
    message = machinery.message("No Celery worker answers")
    assert message["text"] == (
        "Effect: No task runs. Queued tasks wait in Redis and none is lost; days are late until a worker is back.\n"
        "Look: `docker ps -a --filter name=worker`, then `docker logs --tail 50 retrain-airflow-worker-1`"
    )
    assert (message["color"], message["footer"]) == ("danger", "WorkersGone · critical")
    machinery.start("worker-1", "worker-2")
    over = machinery.message("Over: No Celery worker answers")
    assert re.fullmatch(r"It lasted \d+s, since \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", over["text"])
    assert over["color"] == "good"


def test_one_dead_worker_of_two_is_missed(machinery: Machinery) -> None:
    machinery.kill("worker-2")
    message = machinery.message("Too few Celery workers answer: 1")
    assert "Tasks wait longer for a slot" in message["text"]
    machinery.start("worker-2")
    machinery.message("Over: Too few Celery workers answer: 1")


@pytest.mark.parametrize("how", ["dead", "hanging"])
def test_a_broker_that_is_dead_or_hangs_is_one_message_and_its_workers_are_not_another(
    machinery: Machinery, how: str
) -> None:
    if how == "dead":
        machinery.kill("redis")
    else:
        machinery.running["redis"].send_signal(signal.SIGSTOP)
    message = machinery.message("Redis does not answer")
    assert message["text"] == (
        "Effect: No task starts. Running stages go on and report. Days are late until it is back.\n"
        "Look: `docker ps -a --filter name=redis`, then `docker logs --tail 50 retrain-redis-1`"
    )
    assert "WorkersGone" not in machinery.alerts()
    if how == "dead":
        machinery.start("redis")
    else:
        machinery.running["redis"].send_signal(signal.SIGCONT)
    machinery.message("Over: Redis does not answer")


def test_a_dead_database_is_reported(machinery: Machinery) -> None:
    machinery.kill("postgres")
    assert "Airflow and MLflow stand still" in machinery.message("Postgres does not answer")["text"]
    machinery.start("postgres")
    machinery.message("Over: Postgres does not answer")


def test_two_dead_targets_are_one_message_with_the_full_text_of_each(machinery: Machinery) -> None:
    machinery.kill("host", "postgres-exporter")
    message = machinery.message("host does not answer Prometheus; postgres does not answer Prometheus")
    assert message["fallback"] == message["title"], "the lock screen shows it"
    assert re.sub(r":\d+`?$", "", message["text"], flags=re.MULTILINE) == (
        "*host does not answer Prometheus*\n"
        "Effect: The days go on. Alerts that need its numbers cannot fire.\n"
        "Look: `docker ps -a`, then the log of the container of 127.0.0.1\n"
        "\n"
        "*postgres does not answer Prometheus*\n"
        "Effect: The days go on. Alerts that need its numbers cannot fire.\n"
        "Look: `docker ps -a`, then the log of the container of 127.0.0.1"
    )
    machinery.start("host")
    wait_until(
        lambda: any("*Over: host does not answer Prometheus*" in each["text"] for each in machinery.messages()),
        "a message that one of them is over, while the other is not",
    )
    machinery.start("postgres-exporter")
    assert "It lasted" in machinery.message("Over: postgres does not answer Prometheus")["text"]


def test_a_full_disk_of_the_host_is_one_message_and_that_it_fills_up_is_not_another(machinery: Machinery) -> None:
    with filled(machinery.place.disk, 63):
        message = machinery.message(f"The host's disk {machinery.place.disk} is full: 1.562% left")
        assert "Postgres stops when it cannot write" in message["text"]
        assert "docker system df" in message["text"]
    machinery.message(f"Over: The host's disk {machinery.place.disk} is full: .*")


def test_a_volume_that_fills_up_is_reported_before_runs_are_refused(machinery: Machinery) -> None:
    with filled(machinery.place.volume, 30):
        message = machinery.message(r"The shared volume has 1\d\.?\d*MiB left")
        assert "Runs are refused below 8MiB." in message["text"]


def test_a_full_shared_volume_is_reported_by_its_limit_though_its_disk_has_space(machinery: Machinery) -> None:
    with filled(machinery.place.volume, 45):
        message = machinery.message(r"The shared volume is full: \d\.?\d*MiB left")
        assert message["text"] == (
            "Effect: `reproduce` refuses to start: no day gets a model. Nothing is written half.\n"
            "Look: trigger `retrain_housekeeping` in Airflow with a smaller `keep_days`, or raise RETRAIN_HOME_LIMIT_GB"
        )


def test_a_process_that_the_kernel_kills_for_lack_of_memory_is_reported(machinery: Machinery) -> None:
    kill_for_lack_of_memory()
    message = machinery.message("The kernel killed a process for lack of memory")
    assert "A killed stage is tried again" in message["text"]


def test_a_dead_watch_is_one_message_and_not_a_dead_target_too(machinery: Machinery) -> None:
    machinery.kill("watch")
    message = machinery.message("The watch cannot deliver its messages, or does not answer")
    assert "A failed or late day is not reported" in message["text"]
    machinery.start("watch")
    machinery.message("Over: The watch cannot deliver its messages, or does not answer")
    assert not [each for each in machinery.messages() if "watch does not answer Prometheus" in each["title"]]


def test_a_message_that_slack_does_not_take_at_first_arrives_later(machinery: Machinery) -> None:
    machinery.place.slack.control("faults", {"kind": "503", "method": "webhook", "count": 2})
    machinery.kill("postgres")
    machinery.message("Postgres does not answer")
    machinery.start("postgres")
