"""The watch as a process: it needs nothing of Airflow, ends in seconds, and its page says if silence can be trusted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
from importlib import import_module
from pathlib import Path

import pytest
from alerting import eventually, settings, subprocess_environment, tops, trouble
from live_servers import end, fetch

from retrain.alerts.outbox import Outbox

pytestmark = pytest.mark.timeout(200)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def chosen(tmp_path, standin):
    return settings(tmp_path, standin)


@pytest.fixture
def variables(chosen, standin, tmp_path):
    """The environment of a watch that reaches Slack, but neither Airflow nor S3."""
    token = tmp_path / "token"
    token.write_text(standin.token)
    needed = {name: value for name, value in os.environ.items() if name.startswith("RETRAIN_") and "SLACK" not in name}
    return {
        **subprocess_environment(),
        **needed,
        "RETRAIN_ALERTS": str(chosen.folder),
        "RETRAIN_PIPELINES": str(chosen.pipelines),
        "RETRAIN_ALERTS_PORT": str(chosen.port),
        "RETRAIN_SLACK_TOKEN_FILE": str(token),
        "RETRAIN_SLACK_API_URL": f"{standin.url}/api/",
        "RETRAIN_AIRFLOW_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def start(variables):
    return subprocess.Popen([sys.executable, "-m", "retrain.alerts.watch"], env=variables)


def health(chosen):
    try:
        return 200, json.loads(fetch(f"http://127.0.0.1:{chosen.port}/health"))
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_watch_imports_nothing_of_airflow():
    code = (
        "import sys, retrain.alerts.watch.__main__, retrain.alerts.watch.page.server, retrain.alerts.watch.observe.observer, retrain.alerts.watch.rehearsal, "
        "retrain.airflow.api, apprise; assert not [n for n in sys.modules if n.split('.')[0] == 'airflow']"
    )
    subprocess.run([sys.executable, "-c", code], env=subprocess_environment(), check=True)


def test_with_airflow_and_s3_dead_a_signal_is_posted_the_page_names_the_problems_and_sigterm_ends_the_watch(
    chosen, standin, variables
):
    watch = start(variables)
    try:
        eventually(lambda: answers_at_all(chosen), "the page answers")
        Outbox(chosen.folder / "outbox").put(trouble())
        eventually(lambda: tops(standin), "it is posted")
        eventually(lambda: "observe Airflow" in health(chosen)[1]["attention"], "Airflow is named")
        assert "situation of ours" in health(chosen)[1]["attention"]
        assert health(chosen)[0] == 200  # the message has arrived, and says what is not known
        assert "are not known yet" in json.dumps(tops(standin))
        page = fetch(f"http://127.0.0.1:{chosen.port}/").decode()
        assert "push failed for 2020-03-17" in re.sub(r"<[^>]+>", "", page)
        watch.send_signal(signal.SIGTERM)
        watch.wait(30)
        assert watch.returncode == 0
    finally:
        end(watch.pid)
    assert (chosen.folder / "heartbeat").exists()


@pytest.mark.parametrize("broken", [{"theirs"}, {"ours", "theirs"}], ids=["one file", "every file"])
def test_broken_pipeline_files_are_worth_a_look_and_stop_neither_the_watch_nor_a_release(chosen, variables, broken):
    for name in broken:
        (chosen.pipelines / f"{name}.yaml").write_text("schema_version: 7\n")
    watch = start(variables)
    try:
        eventually(lambda: answers_at_all(chosen), "the page answers")
        eventually(
            lambda: {f"pipeline {name}" for name in broken} <= set(health(chosen)[1]["attention"]), "it is named"
        )
        eventually(lambda: health(chosen)[0] == 200, "it is healthy")
        assert release_stopped_by(chosen) == []
    finally:
        end(watch.pid)


def release_stopped_by(chosen):
    """The problems of this watch for which a release on the host would be returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "infra" / "release"))
        program = import_module("running_host")
    host = program.HostSettings.of({"RETRAIN_WATCH_HEALTH_URL": f"http://127.0.0.1:{chosen.port}/health"})
    return program.Host(host, -1)._watch(())


def test_a_second_watch_waits_and_takes_over(chosen, standin, variables):
    first = start(variables)
    try:
        eventually(lambda: answers_at_all(chosen), "the first is up")
        second = start(variables)
        try:
            first.kill()
            first.wait()
            Outbox(chosen.folder / "outbox").put(trouble())
            eventually(lambda: tops(standin), "the second tells")
            assert second.poll() is None
        finally:
            end(second.pid)
    finally:
        end(first.pid)


def test_alerts_test_fails_with_the_reason_for_an_expired_token_and_passes_with_a_new_one(variables, tmp_path, standin):
    (tmp_path / "token").write_text("xoxb-expired")
    failed = rehearsed(variables)
    assert failed.returncode == 1
    assert "invalid_auth" in failed.stdout
    assert "xoxb" not in failed.stdout + failed.stderr
    (tmp_path / "token").write_text(standin.token)
    passed = rehearsed(variables)
    assert passed.returncode == 0, passed.stdout
    assert "#ours (ours): as retrain in Retrain (local): posted" in passed.stdout


def rehearsed(variables):
    command = [sys.executable, "-m", "retrain.alerts.watch", "--test"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


def answers_at_all(chosen):
    try:
        health(chosen)
    except OSError:
        return False
    return True
