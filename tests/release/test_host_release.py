"""The host's program: a release goes live with image and pin, or the release before is live again with both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from conftest import ROOT, wait_until
from deploy import DELIVERY_SECONDS, DOCUMENT_SECONDS, WAIT_SECONDS
from host_standin import HostStandin
from retrain_release import LONGEST_SECONDS
from running_host import error_code

Ask = Callable[[str], tuple[int, dict[str, Any]]]


def test_a_release_that_is_well_is_live_and_pinned(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    assert release("v1.2.0") == (0, {"outcome": "released", "release": "v1.2.0", "before": "v1.1.0"})
    assert host.live == "v1.2.0"
    assert host.pin is not None
    assert host.pin["live"]["tag"] == "v1.2.0"
    assert not (host.place / "release.json").exists()


@pytest.mark.parametrize("no_json", [False, True], ids=["", "an older release reports errors without JSON"])
def test_the_first_release_needs_nothing_before_it(host: HostStandin, release: Ask, no_json: bool) -> None:
    host.fail(no_json=no_json)
    code, outcome = release("v1.0.0")
    assert (code, outcome["outcome"], host.live) == (0, "released", "v1.0.0")


@pytest.mark.parametrize(
    ("faults", "step"),
    [
        pytest.param({"deploy": ["v1.2.0"]}, "start", id="its containers do not come up"),
        pytest.param({"services": ["v1.2.0"]}, "check", id="a service is unhealthy"),
        pytest.param({"gone": ["v1.2.0"]}, "check", id="a service has ended, though without an error"),
        pytest.param({"airflow": ["v1.2.0"]}, "check", id="Airflow's scheduler is unhealthy"),
        pytest.param({"watch": ["v1.2.0"]}, "check", id="the watch cannot deliver messages"),
        pytest.param({"mute": ["v1.1.0"], "watch": ["v1.2.0"]}, "check", id="nor for the reason that it had before"),
        pytest.param({"pin": ["v1.2.0"]}, "pin", id="the pin refuses its tag"),
        pytest.param({"after_pin": ["v1.2.0"]}, "confirm", id="it falls ill once it is pinned"),
    ],
)
def test_after_any_failure_image_and_pin_are_what_they_were(
    host: HostStandin, release: Ask, faults: dict[str, list[str]], step: str
) -> None:
    host.was("v1.0.0", "v1.1.0")
    before = host.pin
    host.fail(**faults)
    code, outcome = release("v1.2.0")
    assert (code, outcome["outcome"], outcome["failed"]) == (1, "returned", step)
    assert host.live == "v1.1.0"
    # The list of earlier releases too: the next `make rollback` goes to v1.0.0, not to the release that failed.
    assert host.pin == before


def test_a_failure_names_what_was_seen(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    host.fail(watch=["v1.2.0"])
    assert "the watch cannot deliver messages: check: channel_not_found" in release("v1.2.0")[1]["cause"]


def test_a_problem_that_stops_no_message_does_not_stop_a_release(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    host.fail(attention=True)
    assert release("v1.2.0")[0] == 0
    assert host.live == "v1.2.0"


def test_a_problem_that_stopped_messages_before_a_release_stops_neither_it_nor_the_return(
    host: HostStandin, release: Ask
) -> None:
    host.was("v1.1.0")
    host.fail(mute=["v1.1.0", "v1.2.0"])
    assert release("v1.2.0")[0] == 0
    host.fail(mute=["v1.2.0", "v1.3.0"], airflow=["v1.3.0"])
    code, outcome = release("v1.3.0")
    assert (code, outcome["failed"], host.live) == (1, "check", "v1.2.0")


def test_an_interrupted_release_remembers_the_problems_that_stopped_messages_before(
    host: HostStandin, release: Ask
) -> None:
    host.was("v1.1.0")
    host.fail(mute=["v1.1.0", "v1.2.0"])
    killed_while_it_starts(host, "v1.2.0")
    let_go(host)
    wait_until(lambda: host.live == "v1.2.0", "the orphan has put the release on the host")
    wait_until(lambda: release("v1.2.0")[0] == 0, "the release that was asked for again")


def test_a_release_that_is_live_may_be_asked_for_again(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    release("v1.2.0")
    pin = host.pin
    assert release("v1.2.0")[0] == 0
    assert host.pin == pin


def test_going_back_is_a_release_of_the_older_tag(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0", "v1.2.0")
    assert release("v1.1.0")[0] == 0
    assert host.live == "v1.1.0"
    assert host.pin is not None
    assert host.pin["live"]["tag"] == "v1.1.0"


def test_a_first_release_that_fails_is_stuck_and_never_counts_as_the_release_before(
    host: HostStandin, release: Ask
) -> None:
    host.fail(watch=["v1.0.0", "v1.0.1"])
    assert release("v1.0.0")[0] == 2
    code, outcome = release("v1.0.1")
    assert (code, outcome["outcome"], outcome["before"]) == (2, "stuck", None)


def test_a_return_that_fails_too_is_stuck_and_remembers_the_release_before(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    host.fail(airflow=["v1.1.0", "v1.2.0"])
    code, outcome = release("v1.2.0")
    assert (code, outcome["outcome"]) == (2, "stuck")
    assert "Airflow's scheduler is unhealthy" in outcome["next"]
    host.fail(watch=["v1.2.1"])
    code, outcome = release("v1.2.1")
    assert (code, outcome["before"], host.live) == (1, "v1.1.0", "v1.1.0")


@pytest.mark.parametrize("how", ["an option", "a setting"])
def test_a_release_may_change_the_images_alone(host: HostStandin, how: str) -> None:
    host.was("v1.1.0")
    before = host.pin
    program = [sys.executable, str(ROOT / "infra" / "release" / "retrain_release.py"), "v7.0.0"]
    environment = host.environment() | ({"RETRAIN_KEEP_PIN": "1"} if how == "a setting" else {})
    option = ["--keep-pin"] if how == "an option" else []
    done = subprocess.run([*program, *option], env=environment, capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["outcome"], outcome["pin_kept"], host.live) == ("released", "as asked", "v7.0.0")
    assert host.pin == before
    assert not any(" retrain " in call for call in host.calls)


def test_images_alone_go_back_without_a_pin(host: HostStandin) -> None:
    host.was("v1.1.0")
    before = host.pin
    host.fail(airflow=["v7.0.0"])
    program = [sys.executable, str(ROOT / "infra" / "release" / "retrain_release.py"), "--keep-pin", "v7.0.0"]
    done = subprocess.run(program, env=host.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, host.live, host.pin) == (1, "v1.1.0", before)


def test_a_pipelines_broken_file_neither_blocks_nor_returns_a_release(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    host.fail(broken=["v1.2.0"], attention=True)
    code, outcome = release("v1.2.0")
    assert (code, outcome["outcome"], host.live) == (0, "released", "v1.2.0")
    assert "trip_duration.yaml: schedule" in outcome["pin_kept"]
    assert host.pin is not None
    assert host.pin["live"]["tag"] == "v1.1.0"


def killed_while_it_starts(host: HostStandin, tag: str) -> None:
    """Kill the host's program while its `retrain-deploy` is held; `retrain-deploy` lives on."""
    os.mkfifo(host.folder / "hold")
    program = [sys.executable, str(ROOT / "infra" / "release" / "retrain_release.py"), tag]
    with subprocess.Popen(program, env=host.environment(), stdout=subprocess.DEVNULL) as process:
        wait_until((host.folder / "held").exists, "retrain-deploy runs")
        process.send_signal(signal.SIGKILL)


def let_go(host: HostStandin) -> None:
    with (host.folder / "hold").open("w"):
        (host.folder / "hold").unlink()


def test_while_an_orphan_of_a_killed_release_works_another_is_refused(host: HostStandin, release: Ask) -> None:
    host.was("v1.1.0")
    killed_while_it_starts(host, "v1.2.0")
    assert release("v1.2.0")[0] == 75
    let_go(host)
    wait_until(lambda: release("v1.2.0")[0] == 0, "the release that was asked for again")
    assert host.pin is not None
    assert [entry["tag"] for entry in (host.pin["live"], *host.pin["previous"])] == ["v1.2.0", "v1.1.0"]


def test_an_interrupted_release_that_fails_later_returns_to_the_release_before_it(
    host: HostStandin, release: Ask
) -> None:
    host.was("v1.1.0")
    killed_while_it_starts(host, "v1.2.0")
    let_go(host)
    wait_until(lambda: host.live == "v1.2.0", "the orphan has put the release on the host")
    host.fail(airflow=["v1.2.0"])
    wait_until(lambda: release("v1.2.0")[0] == 1, "the release that was asked for again")
    assert host.live == "v1.1.0"


@pytest.mark.parametrize("tag", ["1.2.0", "v1.2", "v1.2.0; reboot", "v01.2.0", ""])
def test_an_argument_that_is_no_release_starts_nothing(host: HostStandin, release: Ask, tag: str) -> None:
    assert release(tag)[0] == 64
    assert host.calls == []


def test_every_waiting_program_waits_longer_than_the_longest_release() -> None:
    assert LONGEST_SECONDS < DOCUMENT_SECONDS < WAIT_SECONDS
    assert DELIVERY_SECONDS <= WAIT_SECONDS - DOCUMENT_SECONDS
    document = (ROOT / "infra/aws/modules/deployer/main.tf").read_text()
    assert f'timeoutSeconds = "{DOCUMENT_SECONDS}"' in document
    assert f"takes {LONGEST_SECONDS:,} s" in document


def test_the_host_reads_the_commands_real_output() -> None:
    """The host asks for the pin in a container of the release; here the same command runs against a server with Airflow's API."""
    variable: dict[str, str] = {}

    class Variables(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"access_token": "x"} if self.path == "/auth/token" else variable
            content = json.dumps(body).encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Variables)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    command = [
        ROOT / ".venv/bin/python",
        "-m",
        "retrain",
        "--json",
        "--pipeline",
        "trip_duration",
        "--airflow",
        address,
    ]

    def asked() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
        return subprocess.run([*command, "pin"], env=environment, capture_output=True, text=True, check=False)

    failed = asked()
    assert json.loads(failed.stdout)["error"]["code"] == "NoPinError"
    assert error_code(failed) == "NoPinError"
    failed.stdout = ""  # as an older release fails
    assert error_code(failed) == "NoPinError"
    variable["value"] = json.dumps({"live": {"tag": "v1.1.0", "commit": "a" * 40}, "previous": []})
    assert json.loads(asked().stdout)["live"]["tag"] == "v1.1.0"
    server.shutdown()
    server.server_close()


def test_the_hosts_settings_may_be_in_its_file(host: HostStandin) -> None:
    etc = host.folder / "etc"
    etc.mkdir()
    given = host.environment()
    lines = [f"{name}='{value}'" for name, value in given.items() if name not in ("PATH", "RETRAIN_ETC")]
    (etc / "host.env").write_text("\n".join(["# of this host", *lines]))
    program = [sys.executable, str(ROOT / "infra" / "release" / "retrain_release.py"), "v1.0.0"]
    environment = {"PATH": os.environ["PATH"], "RETRAIN_ETC": str(etc)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "released"
