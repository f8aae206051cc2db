"""`retrain-settings`: the host's files become what the index says, all or none."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_host import PROGRAMS, DeployHost, deploy_host
from host_settings import deploy_settings, read_variables


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[DeployHost]:
    with deploy_host(tmp_path) as host:
        (tmp_path / "etc" / "parameters").write_text("/retrain/host us-east-1\n")
        systemctl = tmp_path / "bin" / "systemctl"
        systemctl.write_text(f'#!/bin/sh\necho "systemctl $@" >>{tmp_path / "calls"}\n')
        systemctl.chmod(0o755)
        yield host


def apply(machine: DeployHost, files: dict[str, tuple[str, str, str]], *, wrong: str = "") -> None:
    """What `terraform apply` does: name -> path, mode, content. The parameter `wrong` has other content than the index says."""
    index = {
        name: {"path": path, "mode": mode, "sha256": hashlib.sha256(content.encode()).hexdigest()}
        for name, (path, mode, content) in files.items()
    }
    known = {
        f"/retrain/host/files/{name}": base64.b64encode(
            gzip.compress(("older" if name == wrong else content).encode())
        ).decode()
        for name, (_, _, content) in files.items()
    }
    machine.tell(parameters=known | {"/retrain/host/index": json.dumps(index)})


def fetch(machine: DeployHost) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, PROGRAMS / "retrain_settings.py"],
        env={
            "PATH": f"{machine.folder / 'bin'}:/usr/bin:/bin",
            "RETRAIN_ETC": str(machine.folder / "etc"),
            "RETRAIN_ROOT": str(machine.folder / "root"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


ENV = ("/etc/retrain/host.env", "0644")
PROGRAM = ("/usr/local/sbin/retrain-deploy", "0755")


def test_only_files_that_differ_are_fetched_and_written(machine: DeployHost) -> None:
    apply(machine, {"host.env": (*ENV, "A='1'\n"), "retrain-deploy": (*PROGRAM, "#!/bin/sh\n")})
    assert fetch(machine)[0] == 0
    root = machine.folder / "root"
    assert (root / "etc/retrain/host.env").read_text() == "A='1'\n"
    assert (root / "usr/local/sbin/retrain-deploy").stat().st_mode & 0o777 == 0o755
    machine.forget_calls()
    apply(machine, {"host.env": (*ENV, "A='2'\n"), "retrain-deploy": (*PROGRAM, "#!/bin/sh\n")})
    code, printed = fetch(machine)
    assert (code, printed.split()) == (0, [str(root / "etc/retrain/host.env"), "is", "new"])
    asked = [call.partition("--names ")[2] for call in machine.calls]
    assert asked == ["/retrain/host/index", "/retrain/host/files/host.env"]


def test_more_files_than_one_request_takes_are_fetched(machine: DeployHost) -> None:
    apply(machine, {f"f{number}": (f"/etc/f{number}", "0644", str(number)) for number in range(23)})
    assert fetch(machine)[0] == 0
    assert {path.read_text() for path in (machine.folder / "root" / "etc").iterdir()} == {str(n) for n in range(23)}


def test_a_half_finished_apply_changes_nothing_on_the_host(machine: DeployHost) -> None:
    apply(machine, {"host.env": (*ENV, "A='1'\n"), "retrain-deploy": (*PROGRAM, "1")})
    fetch(machine)
    apply(machine, {"host.env": (*ENV, "A='2'\n"), "retrain-deploy": (*PROGRAM, "2")}, wrong="retrain-deploy")
    code, printed = fetch(machine)
    assert code == 69
    assert "Is an apply under way?" in printed
    assert (machine.folder / "root" / "etc/retrain/host.env").read_text() == "A='1'\n"


def test_without_aws_the_files_stay_and_the_exit_code_says_so(machine: DeployHost) -> None:
    apply(machine, {"host.env": (*ENV, "A='1'\n")})
    fetch(machine)
    machine.tell(away=["ssm"])
    assert fetch(machine)[0] == 69
    assert (machine.folder / "root" / "etc/retrain/host.env").read_text() == "A='1'\n"


def test_a_unit_that_changed_is_reloaded_and_its_timer_gets_the_new_time(machine: DeployHost) -> None:
    apply(
        machine,
        {
            "window.conf": ("/etc/systemd/system/retrain-patch.timer.d/window.conf", "0644", "[Timer]\n"),
            "retrain.service": ("/etc/systemd/system/retrain.service", "0644", "[Unit]\n"),
        },
    )
    fetch(machine)
    assert [call for call in machine.calls if call.startswith("systemctl")] == [
        "systemctl daemon-reload",
        "systemctl try-restart retrain-patch.timer",
    ]


def test_a_running_program_keeps_the_file_that_it_was_started_from(machine: DeployHost) -> None:
    apply(machine, {"retrain-deploy": (*PROGRAM, "1")})
    fetch(machine)
    with (machine.folder / "root" / "usr/local/sbin/retrain-deploy").open() as running:
        apply(machine, {"retrain-deploy": (*PROGRAM, "2")})
        fetch(machine)
        assert running.read() == "1"


def test_settings_are_read_as_the_shell_reads_them(tmp_path: Path) -> None:
    (tmp_path / "host.env").write_text("# of this host\nA='two words'\nB='{\"x\": \"=\"}'\n")
    assert read_variables(tmp_path / "host.env") == {"A": "two words", "B": '{"x": "="}'}


def test_images_that_the_settings_name_are_this_hosts_own_choice(machine: DeployHost) -> None:
    machine.set(POSTGRES_IMAGE="mirror/postgres:17")
    settings = deploy_settings({"RETRAIN_ETC": str(machine.folder / "etc")})
    assert settings.chosen_images == {"mirror/postgres:17"}
    assert "postgres" in settings.third_party
