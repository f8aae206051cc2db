"""The host's shell scripts with stand-in programs, and its units: the order of a stop, the window of updates, a volume that is missing."""

from __future__ import annotations

import configparser
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from deploy_host import PROGRAMS

UNITS = PROGRAMS.parent / "units"


class Script:
    """Runs a script with programs of the test on its PATH; each call is noted in `calls`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        (folder / "bin").mkdir()
        (folder / "etc").mkdir()
        (folder / "place").mkdir()
        (folder / "etc" / "host.env").write_text("RETRAIN_PROJECT='retrain'\n")

    def program(self, name: str, body: str = "") -> None:
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/noted\n{body}\n')
        path.chmod(0o755)

    def setting(self, line: str) -> None:
        with (self.folder / "etc" / "host.env").open("a") as file:
            file.write(f"{line}\n")

    def run(self, name: str | Path, **variables: str) -> tuple[int, str]:
        (self.folder / "noted").unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", PROGRAMS / name],
            env={
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "RETRAIN_ETC": f"{self.folder}/etc",
                "RETRAIN_PLACE": f"{self.folder}/place",
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        noted = self.folder / "noted"
        self.calls = noted.read_text().splitlines() if noted.exists() else []
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def running(script: Script, stages: str) -> None:
    """Two workers, with this answer to the question how many stages run."""
    script.program("docker", f'case "$1" in ps) echo w1; echo w2 ;; exec) {stages} ;; esac')
    script.program("systemctl")


def updates(script: Script, check: int, *, upgrade: int = 0, reboot: int = 0) -> None:
    script.program(
        "dnf",
        f'case "$1" in check-upgrade) exit {check} ;; upgrade) exit {upgrade} ;; needs-restarting) exit {reboot} ;; esac',
    )


def test_workers_stop_while_airflow_and_its_database_run_then_everything_else(script: Script) -> None:
    running(script, "")
    assert script.run("retrain-stop")[0] == 0
    assert [call.split(" --filter")[0] for call in script.calls] == [
        "docker ps --quiet",
        "docker stop w1 w2",
        "docker compose --project-name retrain stop",
    ]


def test_without_updates_nothing_is_stopped(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=0)
    assert script.run("retrain-patch")[0] == 0
    assert [call.split()[0] for call in script.calls] == ["dnf"]


def test_updates_are_installed_when_no_stage_runs_and_the_release_comes_back(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=100)
    assert script.run("retrain-patch")[0] == 0
    changes = [call for call in script.calls if call.startswith(("systemctl", "dnf upgrade"))]
    assert changes == [
        "systemctl stop retrain.service retrain-containers.service",
        "dnf upgrade --assumeyes --releasever=latest",
        "systemctl start docker.service retrain-containers.service",
        "systemctl start --no-block retrain.service",
    ]


def test_a_new_kernel_reboots_the_host(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=100, reboot=1)
    assert script.run("retrain-patch")[0] == 0
    assert script.calls[-1] == "systemctl reboot"


def test_updates_that_fail_bring_the_release_back(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=100, upgrade=1)
    assert script.run("retrain-patch")[0] == 1
    assert script.calls[-1] == "systemctl start --no-block retrain.service"


@pytest.mark.parametrize(
    "stages", ["echo 1", "echo 'no worker answers' >&2; exit 1"], ids=["a stage runs", "no worker answers"]
)
def test_a_stage_that_runs_beyond_the_window_puts_the_updates_off(script: Script, stages: str) -> None:
    running(script, stages)
    updates(script, check=100)
    script.setting("RETRAIN_PATCH_MINUTES='0'")
    code, printed = script.run("retrain-patch")
    assert code == 75
    assert "the next window tries again" in printed
    assert not any(call.startswith(("systemctl", "dnf upgrade")) for call in script.calls)


def test_updates_wait_for_a_release_whose_workers_are_stopped(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=100)
    script.setting("RETRAIN_PATCH_MINUTES='0'")
    with (script.folder / "place" / "release.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as retrain-release holds it
        code, printed = script.run("retrain-patch")
    assert code == 75
    assert "still run at the end of the window (a release)" in printed
    assert not any(call.startswith(("systemctl", "dnf upgrade")) for call in script.calls)
    assert script.run("retrain-patch")[0] == 0


def test_a_release_waits_for_updates(script: Script) -> None:
    running(script, "echo 0")
    updates(script, check=100)
    release = ROOT / "infra" / "release" / "retrain_release.py"
    script.program(
        "systemctl",
        f"[[ $1 != stop ]] || {sys.executable} {release} v1.2.0 >/dev/null 2>&1; echo $? >>{script.folder}/codes",
    )
    assert script.run("retrain-patch")[0] == 0
    assert (script.folder / "codes").read_text().split()[0] == "75"


@pytest.fixture
def disks(script: Script) -> dict[str, str]:
    """The variables of retrain-prepare on a new host whose data disk is attached."""
    for name in ("blkid", "mkfs.xfs", "xfs_growfs"):
        script.program(name, "exit 2" if name == "blkid" else "")
    script.program("mount")
    script.program("mountpoint", "exit 1")
    (script.folder / "fstab").touch()
    disk = (
        next(path for path in Path("/dev").iterdir() if path.is_block_device())
        if any(path.is_block_device() for path in Path("/dev").iterdir())
        else None
    )
    if disk is None:
        pytest.skip("NOT TESTED: retrain-prepare. This machine has no block device to stand for the data disk.")
    return {
        "RETRAIN_FSTAB": f"{script.folder}/fstab",
        "RETRAIN_PLACE": f"{script.folder}/place",
        "RETRAIN_DISK": str(disk),
    }


def test_a_volume_that_cannot_be_mounted_stops_neither_the_boot_nor_docker(
    script: Script, disks: dict[str, str]
) -> None:
    at = script.folder / "mnt"
    script.setting(f"RETRAIN_VOLUME='fs-1'\nRETRAIN_ACCESS_POINT='fsap-1'\nRETRAIN_VOLUME_AT='{at}'")
    script.program("mount", f"[[ $1 != {at} ]]")
    code, printed = script.run("retrain-prepare", **disks)
    assert code == 0
    assert "is not mounted yet" in printed
    lines = (script.folder / "fstab").read_text().splitlines()
    assert len(lines) == 2
    assert all("nofail" in line.split()[3].split(",") for line in lines)
    assert {"tls", "iam", "accesspoint=fsap-1", "_netdev"} <= set(lines[1].split()[3].split(","))
    assert "/mnt" not in (UNITS / "disks.conf").read_text().split("RequiresMountsFor=")[1]
    script.run("retrain-prepare", **disks)
    assert (script.folder / "fstab").read_text().splitlines() == lines


def test_without_efs_only_the_data_disk_is_mounted(script: Script, disks: dict[str, str]) -> None:
    assert script.run("retrain-prepare", **disks)[0] == 0
    assert len((script.folder / "fstab").read_text().splitlines()) == 1


def test_a_disk_with_a_file_system_is_mounted_as_it_is(script: Script, disks: dict[str, str]) -> None:
    script.program("blkid")
    script.run("retrain-prepare", **disks)
    assert not any(call.startswith("mkfs") for call in script.calls)


def test_a_new_host_starts_the_named_release_unless_its_disk_has_one(script: Script, disks: dict[str, str]) -> None:
    (script.folder / "etc" / "first-release").write_text("v1.2.0\n")
    script.run("retrain-prepare", **disks)
    assert (script.folder / "place" / "release").read_text() == "v1.2.0\n"
    (script.folder / "place" / "release").write_text("v1.3.0\n")
    script.run("retrain-prepare", **disks)
    assert (script.folder / "place" / "release").read_text() == "v1.3.0\n"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


def test_a_boot_that_fails_is_tried_again_but_a_refused_release_is_not() -> None:
    service = unit("retrain.service")
    assert service["Service"]["Restart"] == "on-failure"
    assert service["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Service"]["RestartPreventExitStatus"].split() == ["64", "77"]


def test_containers_get_twenty_minutes_before_docker_ends() -> None:
    containers = unit("retrain-containers.service")
    assert containers["Service"]["ExecStop"] == "/usr/local/sbin/retrain-stop"
    assert containers["Service"]["TimeoutStopSec"] == "20min"
    assert "docker.service" in containers["Unit"]["After"].split()
    assert "docker.service" in containers["Unit"]["Requires"].split()
    assert '"live-restore"' not in (UNITS / "daemon.json").read_text()
    grace = (ROOT / "docker-compose.airflow.yml").read_text()
    assert "stop_grace_period: ${AIRFLOW_WORKER_STOP:-15m}" in grace


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("NOT TESTED: the units. There is no systemd-analyze on the PATH.")
    programs = tmp_path / "root"
    for path in UNITS.glob("retrain*"):
        text = path.read_text().replace("/usr/local/sbin/", f"{programs}/")
        (tmp_path / path.name).write_text(text)
    programs.mkdir()
    for path in PROGRAMS.glob("retrain-*"):
        shutil.copy(path, programs)
    docker = tmp_path / "docker.service"
    docker.write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(
        [analyze, "verify", *(str(path) for path in tmp_path.glob("retrain*")), str(docker)],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_new_machine_asks_again_until_its_settings_are_there(tmp_path: Path) -> None:
    template = (PROGRAMS.parent / "user_data.yaml.tftpl").read_text()
    first = template.partition("runcmd:")[2].partition("  - |\n")[2].replace("/usr/local/sbin/", "")
    script = Script(tmp_path)
    count = tmp_path / "asked"
    for name in ("dnf", "sleep", "retrain-install"):
        script.program(name)
    script.program("python3.11", f"echo >>{count}; (( $(wc -l <{count}) > 2 ))")
    (tmp_path / "first").write_text(first)
    code, _ = script.run(tmp_path / "first")
    assert code == 0
    assert [call.split()[0] for call in script.calls] == [
        *("dnf", "python3.11", "sleep"),
        *("dnf", "python3.11", "sleep"),
        *("dnf", "python3.11", "retrain-install"),
    ]
