"""`retrain-deploy`: nothing of an image runs before its signature is verified; a boot needs no AWS; releases leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import signatures
from conftest import ROOT
from deploy_host import DeployHost, compose_file, deploy_host
from image_trust import Signer
from pinned import pins


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[DeployHost]:
    with deploy_host(tmp_path) as host:
        yield host


def runs_of_images(machine: DeployHost) -> list[str]:
    return [
        call
        for call in machine.calls
        if call.startswith(("docker run", "docker compose", "docker create", "docker pull"))
    ]


def test_a_signed_release_runs_by_the_digests_that_were_verified(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    assert machine.deploy("v1.2.0")[0] == 0
    assert machine.live == "v1.2.0"
    services = machine.up["services"]
    assert services["airflow-worker"]["image"] == machine.reference("worker", "v1.2.0")
    assert services["mlflow"]["image"] == machine.reference("mlflow", "v1.2.0")
    verified = [call.rpartition(" ")[2] for call in machine.calls if call.startswith("cosign verify")]
    assert verified == [machine.reference(name, "v1.2.0") for name in ("airflow", "worker", "mlflow")]
    first_run = next(number for number, call in enumerate(machine.calls) if call in runs_of_images(machine))
    assert all(not call.startswith("cosign") for call in machine.calls[first_run:])


@pytest.mark.parametrize(
    ("signed_as", "said"),
    [
        pytest.param("", "no signatures found", id="nobody signed it"),
        pytest.param("v1.1.0", "refs/tags/v1.1.0", id="an older release under a new tag"),
    ],
)
def test_an_image_without_the_workflows_signature_is_refused_by_name_and_never_runs(
    machine: DeployHost, signed_as: str, said: str
) -> None:
    machine.push("v1.1.0")
    machine.deploy("v1.1.0")
    before = machine.up
    machine.forget_calls()
    machine.push("v1.2.0", signed_as=signed_as)
    code, printed = machine.deploy("v1.2.0")
    assert code == 76
    assert machine.reference("airflow", "v1.2.0") in printed
    assert said in printed
    assert runs_of_images(machine) == []
    assert (machine.live, machine.up) == ("v1.1.0", before)


def test_an_image_that_another_repository_signed_is_refused(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.set(RETRAIN_SIGNER="github:example/another")
    assert machine.deploy("v1.2.0")[0] == 76
    assert runs_of_images(machine) == []


def test_without_the_signers_log_a_new_release_is_not_started(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.tell(away=["cosign"])
    code, printed = machine.deploy("v1.2.0")
    assert (code, runs_of_images(machine)) == (76, [])
    assert "tuf-repo-cdn.sigstore.dev" in printed


def test_a_host_that_was_not_told_who_signs_starts_nothing(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.set(RETRAIN_SIGNER="")
    code, printed = machine.deploy("v1.2.0")
    assert (code, machine.calls) == (78, [])
    assert "RETRAIN_SIGNER" in printed


def test_unsigned_images_start_only_by_an_explicit_choice_and_say_so(machine: DeployHost) -> None:
    machine.push("v1.2.0", signed_as="")
    machine.set(RETRAIN_SIGNER="none")
    code, printed = machine.deploy("v1.2.0")
    assert code == 0
    assert "without a signature" in printed
    # The choice is not kept with the images: with a signer again, they are asked for their signature.
    machine.set(RETRAIN_SIGNER="github:example/trip-duration")
    assert machine.deploy("v1.2.0")[0] == 76


def test_a_key_of_ones_own_can_sign_instead_of_github(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    (machine.folder / "etc" / "release.pub").write_text("our key")
    machine.set(RETRAIN_SIGNER="key")
    assert machine.deploy("v1.2.0")[0] == 76
    machine.tell(signed={machine.reference(name, "v1.2.0"): "our key" for name in ("airflow", "worker", "mlflow")})
    assert machine.deploy("v1.2.0")[0] == 0


def test_a_tag_that_the_registry_does_not_have_is_named(machine: DeployHost) -> None:
    code, printed = machine.deploy("v9.9.9")
    assert code == 69
    assert "retrain/airflow has no tag v9.9.9" in printed


def test_an_image_that_would_run_as_root_is_refused(machine: DeployHost) -> None:
    machine.push("v1.2.0", user="")
    code, printed = machine.deploy("v1.2.0")
    assert code == 77
    assert "would run as root" in printed


def test_a_compose_file_that_asks_for_too_much_is_refused_before_it_is_used(machine: DeployHost) -> None:
    machine.push("v1.1.0")
    machine.deploy("v1.1.0")
    machine.forget_calls()
    file = compose_file()
    file["services"]["grafana"] |= {"privileged": True}
    machine.push("v1.2.0", file)
    code, printed = machine.deploy("v1.2.0")
    assert code == 77
    assert "service grafana, privileged" in printed
    assert machine.live == "v1.1.0"
    assert not any(" up " in call or call.startswith("docker run") for call in machine.calls)


def test_a_link_out_of_the_release_is_not_followed(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    (machine.folder / "images" / "v1.2.0" / "infra" / "etc").symlink_to("/etc")
    code, printed = machine.deploy("v1.2.0")
    assert code == 77
    assert "infra/etc is a link" in printed


def test_a_file_that_would_make_compose_read_a_secret_is_refused_before_compose_is_called(machine: DeployHost) -> None:
    file = compose_file()
    file["services"]["grafana"] |= {"env_file": [str(machine.folder / "secrets" / "fernet_key")]}
    machine.push("v1.2.0", file)
    code, printed = machine.deploy("v1.2.0")
    assert code == 77
    assert "'env_file'" in printed
    assert not any(call.startswith("docker compose") for call in machine.calls)


def test_a_link_in_the_place_of_the_hosts_own_note_is_not_written_through(machine: DeployHost) -> None:
    victim = machine.folder / "victim"
    victim.write_text("of the host")
    machine.push("v1.2.0")
    (machine.folder / "images" / "v1.2.0" / "images.json.new").symlink_to(victim)
    assert machine.deploy("v1.2.0")[0] == 77
    assert victim.read_text() == "of the host"


def test_a_service_may_mount_memory(machine: DeployHost) -> None:
    file = compose_file()
    file["services"]["grafana"]["volumes"].append({"type": "tmpfs", "target": "/cache"})
    machine.push("v1.2.0", file)
    code, printed = machine.deploy("v1.2.0")
    assert (code, machine.live) == (0, "v1.2.0"), printed
    mount_point = machine.folder / "mnt"
    mount_point.mkdir()
    machine.set(RETRAIN_VOLUME_AT=str(mount_point), RETRAIN_HOME_VOLUME=str(mount_point / "home"))
    assert machine.deploy("v1.2.0")[0] == 75  # without the volume, Grafana starts with it too
    assert {"type": "tmpfs", "target": "/cache"} in machine.up["services"]["grafana"]["volumes"]


def test_a_first_boot_while_the_signers_log_is_away_is_tried_again(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    (machine.place / "release").write_text("v1.2.0\n")  # as retrain-prepare writes the release of a new host
    machine.tell(away=["cosign"])
    code, _ = machine.deploy("--boot")
    unit = (ROOT / "infra" / "aws" / "modules" / "host" / "units" / "retrain.service").read_text()
    assert str(code) not in unit.split("RestartPreventExitStatus=")[1].splitlines()[0].split()
    machine.tell(away=[])
    assert machine.deploy("--boot")[0] == 0


def test_the_host_expects_the_signer_that_the_workflow_is(tmp_path: Path) -> None:
    signer = Signer.parsed("github:example/trip-duration", tmp_path / "none")
    assert signer.arguments("v1.2.0") == signatures.identity("example/trip-duration", "v1.2.0")


def test_a_boot_with_the_images_here_asks_neither_the_registry_nor_the_signers_log_nor_secrets_manager(
    machine: DeployHost,
) -> None:
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    machine.forget_calls()
    machine.tell(away=["ecr", "secretsmanager", "ssm", "cosign"])
    for path in (machine.folder / "secrets").iterdir():  # memory is empty after a boot
        path.unlink()
    code, printed = machine.deploy("--boot")
    assert code == 0, printed
    assert (machine.folder / "secrets" / "slack_token").read_text() == "xoxb-1"
    assert not any(call.startswith(("cosign", "docker login", "docker pull", "aws ecr")) for call in machine.calls)


@pytest.mark.parametrize("arguments", [["v1.2.0"], []], ids=["a release", "the live release again, for a new secret"])
def test_only_a_boot_uses_the_copy_of_the_secrets(machine: DeployHost, arguments: list[str]) -> None:
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    machine.tell(away=["secretsmanager"])
    code, printed = machine.deploy(*arguments)
    assert code == 78
    assert "retrain/host/slack_token" in printed


def test_the_copy_is_roots_alone_and_holds_the_newest_values(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    machine.tell(secrets={"retrain/host/slack_token": "xoxb-2", "retrain/host/fernet_key": "f"})
    machine.deploy("v1.2.0")
    copy = machine.folder / "copy"
    assert {path.name: path.read_text() for path in copy.iterdir()} == {"slack_token": "xoxb-2", "fernet_key": "f"}
    assert {path.stat().st_mode & 0o777 for path in copy.iterdir()} == {0o600}
    assert copy.stat().st_mode & 0o777 == 0o700


def test_a_host_without_a_copy_waits_for_secrets_manager(machine: DeployHost) -> None:
    machine.set(RETRAIN_SECRETS_COPY="")
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    machine.tell(away=["secretsmanager"])
    assert machine.deploy("--boot")[0] == 78
    assert not (machine.folder / "copy").exists()


def test_no_secret_is_on_a_command_line(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    assert "xoxb-1" not in "\n".join(machine.calls)
    assert "the registry's password" not in "\n".join(machine.calls)


def test_the_same_release_again_leaves_every_mounted_folder_in_place(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.deploy("v1.2.0")
    (mounted,) = [volume["source"] for volume in machine.up["services"]["grafana"]["volumes"]]
    held = os.open(mounted, os.O_RDONLY)  # as a running container holds it
    machine.deploy("v1.2.0")
    assert os.fstat(held).st_ino == Path(mounted).stat().st_ino
    assert os.listdir(held) == ["retrain.json"]  # noqa: PTH208 - of the folder that is held, not of its name
    os.close(held)


def test_a_release_replaces_only_containers_whose_files_changed(machine: DeployHost) -> None:
    machine.push("v1.1.0")
    machine.deploy("v1.1.0")
    before = machine.up["services"]
    machine.push("v1.2.0", dashboard='{"panels": []}')
    machine.deploy("v1.2.0")
    after = machine.up["services"]
    assert after["postgres"] == before["postgres"]
    assert after["grafana"]["volumes"] != before["grafana"]["volumes"]


def test_only_the_live_release_and_the_one_before_stay_on_the_disk(machine: DeployHost) -> None:
    for tag in ("v1.0.0", "v1.1.0", "v1.2.0"):
        machine.push(tag, dashboard=f'"{tag}"')
        assert machine.deploy(tag)[0] == 0
    assert {path.name for path in (machine.place / "releases").iterdir()} == {"v1.1.0", "v1.2.0"}
    assert set(machine.engine) == {
        machine.reference(name, tag) for name in ("airflow", "worker", "mlflow") for tag in ("v1.1.0", "v1.2.0")
    }
    dashboards = [path.read_text() for path in (machine.place / "mounts").glob("*/monitoring/retrain.json")]
    assert sorted(dashboards) == ['"v1.1.0"', '"v1.2.0"']


def test_a_release_that_does_not_come_up_removes_nothing(machine: DeployHost) -> None:
    for tag in ("v1.0.0", "v1.1.0"):
        machine.push(tag)
        machine.deploy(tag)
    machine.push("v1.2.0")
    machine.tell(unhealthy="airflow-scheduler")
    code, printed = machine.deploy("v1.2.0")
    assert code == 1
    assert "airflow-scheduler-1 is unhealthy" in printed
    assert machine.live == "v1.1.0"
    assert machine.reference("airflow", "v1.0.0") in machine.engine


def test_a_new_host_without_a_release_waits(machine: DeployHost) -> None:
    code, printed = machine.deploy("--boot")
    assert (code, machine.calls) == (0, [])
    assert "No release is on this host yet" in printed


def test_without_the_shared_volume_the_watch_starts_and_nothing_writes_into_an_empty_folder(
    machine: DeployHost,
) -> None:
    mount_point = machine.folder / "mnt"
    mount_point.mkdir()
    machine.set(RETRAIN_VOLUME_AT=str(mount_point), RETRAIN_HOME_VOLUME=str(mount_point / "home"))
    machine.push("v1.2.0")
    code, printed = machine.deploy("v1.2.0")
    assert code == 75, printed
    assert set(machine.up["services"]) == {"postgres", "mlflow", "alerts", "grafana"}
    (home,) = machine.up["services"]["alerts"]["volumes"]
    assert home["source"] == str(machine.place / "without-volume")
    assert list(mount_point.iterdir()) == []
    assert machine.live is None


def test_workers_stop_before_anything_is_replaced(machine: DeployHost) -> None:
    machine.push("v1.2.0")
    machine.tell(workers=["w1", "w2"])
    machine.deploy("v1.2.0")
    stop, up = (
        next(n for n, call in enumerate(machine.calls) if wanted in call) for wanted in ("docker stop w1 w2", " up ")
    )
    assert stop < up


@pytest.mark.parametrize("tag", ["1.2.0", "v1.2", "v1.2.0; reboot", "v01.2.0", ""])
def test_what_is_no_release_is_refused_before_anything_is_asked(machine: DeployHost, tag: str) -> None:
    assert machine.deploy(tag)[0] == 64
    assert machine.calls == []


def test_the_hosts_cosign_is_the_workflows() -> None:
    pinned = pins()["cosign"]
    for file in ("modules/host/variables.tf", "example/variables.tf"):
        text = (ROOT / "infra" / "aws" / file).read_text()
        version = text.split('variable "cosign"')[1].split('version = "')[1].split('"')[0]
        assert f"/v{version}/cosign-linux-amd64" in pinned["url"]
        assert pinned["sha256"] in text
