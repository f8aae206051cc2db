"""The rules for a release's compose file: what would reach out of its containers is refused, with the service and its key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compose_shape import AllowedShape, check, repository, require_alone
from conftest import ROOT
from deploy_host import bind, compose_file
from host_errors import RefusedServiceError

DIGEST = f"sha256:{'a' * 64}"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "infra").mkdir()
    return tmp_path


@pytest.fixture
def allowed(folder: Path) -> AllowedShape:
    return AllowedShape(
        trusted=frozenset({f"registry/retrain/{name}@{DIGEST}" for name in ("airflow", "worker", "mlflow")}),
        third_party=frozenset({"postgres", "grafana/grafana"}),
        folder=folder,
        shared=frozenset({"/mnt/retrain/home"}),
        readable=frozenset({("*", "/srv/retrain/origin.git"), ("node-exporter", "/proc")}),
        secrets=Path("/run/retrain/secrets"),
        addresses=frozenset({"127.0.0.1"}),
    )


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    given = {
        "RETRAIN_HOME_VOLUME": "/mnt/retrain/home",
        "RETRAIN_SECRETS": "/run/retrain/secrets",
        **{
            f"RETRAIN_{name.upper()}_IMAGE": f"registry/retrain/{name}@{DIGEST}"
            for name in ("airflow", "worker", "mlflow")
        },
    }
    text = re.sub(r"\$\{(\w+)\}", lambda found: given[found[1]], json.dumps(compose_file()))
    found: dict[str, Any] = json.loads(text.replace('"./', f'"{folder}/'))
    return found


def test_the_stack_as_it_is_may_start(document: dict[str, Any], allowed: AllowedShape) -> None:
    check(document, allowed)


def service(name: str, **more: Any) -> Change:
    return lambda document: document["services"][name].update(more)


def mount(name: str, volume: dict[str, Any]) -> Change:
    return lambda document: document["services"][name].setdefault("volumes", []).append(volume)


def top(key: str, value: Any) -> Change:
    return lambda document: document.setdefault(key, {}).update(value)


SOCKET = "/var/run/docker.sock"
LOCAL_BIND = {"name": "retrain_x", "driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": "/"}}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(service("mlflow", privileged=True), "service mlflow, privileged", id="privileged"),
        pytest.param(service("mlflow", cap_add=["SYS_ADMIN"]), "service mlflow, cap_add", id="a capability"),
        pytest.param(service("mlflow", cap_drop=["NET_RAW"]), "service mlflow, cap_drop", id="capabilities kept"),
        pytest.param(
            service("mlflow", security_opt=["seccomp=unconfined"]), "service mlflow, security_opt", id="no seccomp"
        ),
        pytest.param(service("mlflow", network_mode="host"), "service mlflow, network_mode", id="the host's network"),
        pytest.param(service("mlflow", pid="host"), "service mlflow, pid", id="the host's processes"),
        pytest.param(service("mlflow", ipc="host"), "service mlflow, ipc", id="the host's shared memory"),
        pytest.param(service("mlflow", userns_mode="host"), "service mlflow, userns_mode", id="the host's users"),
        pytest.param(service("mlflow", cgroup="host"), "service mlflow, cgroup", id="the host's cgroups"),
        pytest.param(service("mlflow", devices=[{"source": "/dev/sda"}]), "service mlflow, devices", id="a device"),
        pytest.param(service("mlflow", runtime="other"), "service mlflow, runtime", id="another runtime"),
        pytest.param(service("mlflow", sysctls={"kernel.x": 1}), "service mlflow, sysctls", id="the kernel's settings"),
        pytest.param(
            service("mlflow", extra_hosts=["h:host-gateway"]), "service mlflow, extra_hosts", id="the host's address"
        ),
        pytest.param(service("mlflow", provider={"type": "x"}), "service mlflow, provider", id="a program of the host"),
        pytest.param(
            service("mlflow", post_start=[{"command": "x", "user": "root"}]), "service mlflow, post_start", id="a hook"
        ),
        pytest.param(service("mlflow", build={"context": "."}), "service mlflow, build", id="a build on the host"),
        pytest.param(service("mlflow", volumes_from=["x"]), "service mlflow, volumes_from", id="another's volumes"),
        pytest.param(
            service("mlflow", an_option_of_a_later_compose=1), "an_option_of_a_later_compose", id="an unknown key"
        ),
        pytest.param(service("mlflow", user="0:0"), "service mlflow, user", id="root by number"),
        pytest.param(service("postgres", user="root"), "service postgres, user", id="root by name"),
        pytest.param(service("mlflow", user="+0"), "service mlflow, user", id="root by a number with a sign"),
        pytest.param(service("mlflow", user="app"), "service mlflow, user", id="a name, which may be root's too"),
        pytest.param(service("postgres", user=""), "service postgres, user", id="the user of an image of others"),
        pytest.param(service("postgres", image="postgres:17.7"), "service postgres, image", id="another tag"),
        pytest.param(
            service("postgres", image=f"evil/postgres@{DIGEST}"), "service postgres, image", id="another repository"
        ),
        pytest.param(
            service("mlflow", image="registry/retrain/mlflow:v1.2.0"),
            "service mlflow, image",
            id="ours by tag, not verified",
        ),
        pytest.param(
            service("mlflow", deploy={"resources": {"reservations": {"devices": [{}]}}}),
            "service mlflow, deploy",
            id="a GPU",
        ),
        pytest.param(
            service("mlflow", logging={"driver": "syslog"}), "service mlflow, logging", id="a log that leaves"
        ),
        pytest.param(
            service("mlflow", ports=[{"target": 5000, "published": "5000"}]),
            "5000 is published on every address",
            id="a port",
        ),
        pytest.param(
            service("mlflow", ports=[{"host_ip": "192.0.2.7", "published": "5000"}]),
            "is published on 192.0.2.7",
            id="a port on another address",
        ),
        pytest.param(mount("mlflow", bind(SOCKET, SOCKET)), f"{SOCKET} would be writable", id="Docker's socket"),
        pytest.param(
            mount("mlflow", bind(SOCKET, SOCKET, read_only=True)),
            f"{SOCKET} is outside",
            id="Docker's socket, read-only",
        ),
        pytest.param(mount("mlflow", bind("/", "/host", read_only=True)), "/ is outside", id="the host's files"),
        pytest.param(
            mount("mlflow", bind("/mnt/retrain/home/../..", "/x")),
            "/mnt/retrain/home/../.. would be writable",
            id="a way up",
        ),
        pytest.param(
            mount("mlflow", bind("/proc", "/x", read_only=True)), "/proc is outside", id="a view of another service"
        ),
        pytest.param(
            mount("mlflow", {"type": "volume", "source": "other"}), "'other' is no volume", id="a volume of others"
        ),
        pytest.param(mount("mlflow", {"type": "image", "source": "x"}), "type 'image'", id="another kind of mount"),
        pytest.param(top("volumes", {"x": LOCAL_BIND}), "volume x", id="a volume that is a folder of the host"),
        pytest.param(
            top("volumes", {"x": {"name": "x", "external": True}}), "volume x", id="a volume of another project"
        ),
        pytest.param(
            top("networks", {"x": {"external": True, "name": "host"}}), "network x", id="a network of the host"
        ),
        pytest.param(top("networks", {"x": {"driver": "macvlan"}}), "network x", id="a network beside the host"),
        pytest.param(
            service("alerts", secrets=[{"source": "slack_token", "target": "/etc/passwd"}]),
            "service alerts, secrets: slack_token",
            id="a secret over another file",
        ),
        pytest.param(
            service("alerts", secrets=[{"source": "unknown"}]),
            "service alerts, secrets: unknown",
            id="an unknown secret",
        ),
        pytest.param(top("secrets", {"x": {"file": "/etc/shadow"}}), "secret x", id="a secret from elsewhere"),
        pytest.param(
            top("secrets", {"x": {"file": "/run/retrain/secrets/.."}}), "secret x", id="the folder above the secrets"
        ),
        pytest.param(top("secrets", {"x": {"environment": "PATH"}}), "secret x", id="a secret out of the environment"),
        pytest.param(top("configs", {"x": {"file": "/etc/shadow"}}), "configs", id="a configuration file"),
    ],
)
def test_reaching_out_of_a_container_is_refused_by_name(
    document: dict[str, Any], allowed: AllowedShape, change: Change, named: str
) -> None:
    change(document)
    with pytest.raises(RefusedServiceError, match=re.escape(named)):
        check(document, allowed)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(service("postgres", image=f"postgres:18@{DIGEST}"), id="an allowed repository by digest"),
        pytest.param(service("mlflow", user="50000:50000", cpus=1, pids_limit=100), id="limits"),
        pytest.param(
            mount("mlflow", bind("/srv/retrain/origin.git", "/x", read_only=True)), id="a folder of the settings"
        ),
        pytest.param(
            lambda document: document["services"].update(
                {"node-exporter": document["services"]["grafana"] | {"volumes": [bind("/proc", "/x", read_only=True)]}}
            ),
            id="a view that the settings give to this service",
        ),
        pytest.param(
            top("networks", {"data": {"name": "retrain_data", "internal": True}}), id="a network without a way out"
        ),
    ],
)
def test_other_versions_limits_and_folders_of_the_settings_are_allowed(
    document: dict[str, Any], allowed: AllowedShape, change: Change
) -> None:
    change(document)
    check(document, allowed)


def test_a_link_to_elsewhere_below_the_release_is_refused(
    document: dict[str, Any], allowed: AllowedShape, folder: Path
) -> None:
    (folder / "infra" / "etc").symlink_to("/etc")
    mount("mlflow", bind(f"{folder}/infra/etc", "/x", read_only=True))(document)
    with pytest.raises(RefusedServiceError, match="is outside of the release"):
        check(document, allowed)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("services: {a: {env_file: /run/retrain/secrets/fernet_key}}", "env_file"),
        ("services: {a: {label_file: /run/retrain/secrets/fernet_key}}", "label_file"),
        ("services: {a: {extends: {file: /etc/other.yml, service: b}}}", "extends"),
        ("include: [/etc/other.yml]", "include"),
        ("? include # the key\n: [/etc/other.yml]", "include"),
        ('services: {a: {"env\\x5ffile": /etc/x}}', r"\x"),
        ('services: {a: {"env_\\\n  file": /etc/x}}', r"\n"),
        ("services: {a: {!!binary ZW52X2ZpbGU=: /etc/x}}", "!!"),
    ],
)
def test_a_file_that_may_make_compose_read_others_is_refused_before_compose_reads_it(
    tmp_path: Path, text: str, named: str
) -> None:
    (tmp_path / "compose.yml").write_text(text)
    with pytest.raises(RefusedServiceError, match=re.escape(f"{named}")) as refused:
        require_alone(tmp_path / "compose.yml")
    assert "compose.yml" in str(refused.value)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("include: [/etc/other.yml]", encoding="utf-16")
    with pytest.raises(RefusedServiceError, match="cannot be read"):
        require_alone(tmp_path / "compose.yml")


def test_our_own_file_reads_no_others() -> None:
    require_alone(ROOT / "docker-compose.airflow.yml")


def test_every_violation_is_named_at_once(document: dict[str, Any], allowed: AllowedShape) -> None:
    service("mlflow", privileged=True)(document)
    service("grafana", pid="host")(document)
    with pytest.raises(RefusedServiceError, match=r"service mlflow, privileged.*service grafana, pid"):
        check(document, allowed)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("postgres:17.6", "postgres"),
        (f"grafana/grafana:12@{DIGEST}", "grafana/grafana"),
        ("127.0.0.1:5000/retrain/airflow:v1.2.0", "127.0.0.1:5000/retrain/airflow"),
        (f"127.0.0.1:5000/retrain/airflow@{DIGEST}", "127.0.0.1:5000/retrain/airflow"),
    ],
)
def test_a_repository_is_a_reference_without_tag_and_digest(image: str, expected: str) -> None:
    assert repository(image) == expected
