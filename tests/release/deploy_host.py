"""A host for `retrain-deploy`, with a registry, releases in it, and the stand-in programs on its PATH."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from deploy_standin import PASSWORD, World

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "infra" / "aws" / "modules" / "host" / "files"
WORKFLOW = "https://github.com/example/trip-duration/.github/workflows/release.yml@refs/tags/{tag}"
ISSUER = "https://token.actions.githubusercontent.com"
DIGEST = "sha256:" + "1" * 64
POSTGRES = f"postgres:17.11-bookworm@{DIGEST}"
GRAFANA = f"grafana/grafana:12.4.11@{DIGEST}"
SERVICE = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "restart": "unless-stopped",
}


def manifest_of(content: str) -> tuple[bytes, str]:
    manifest = json.dumps({"schemaVersion": 2, "config": {"digest": content}}).encode()
    return manifest, f"sha256:{hashlib.sha256(manifest).hexdigest()}"


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """The address of a registry that answers for the tags of the world, to its password alone."""

    class Manifests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path)
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            if base64.b64decode(given).decode() != f"AWS:{PASSWORD}":
                self.answer(401, b"")
            elif not found or (content := World(folder).known["tags"].get(f"{found[1]}:{found[2]}")) is None:
                self.answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
            else:
                self.answer(200, manifest_of(content)[0])

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status == 200:
                self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Manifests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def bind(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}, **more}


def compose_file() -> dict[str, Any]:
    """A small compose file in the form of `docker compose config --format json`, with variables."""
    home = bind("${RETRAIN_HOME_VOLUME}", "/var/lib/retrain")
    ours = SERVICE | {"image": "${RETRAIN_AIRFLOW_IMAGE}"}
    token = {"source": "slack_token", "target": "/run/secrets/slack_token"}
    port = {"mode": "ingress", "host_ip": "127.0.0.1", "target": 8080, "published": "8080", "protocol": "tcp"}
    init = bind("./infra/docker/postgres-databases.sh", "/docker-entrypoint-initdb.d/databases.sh", read_only=True)
    data = {"type": "volume", "source": "postgres-data", "target": "/var/lib/postgresql/data"}
    return {
        "name": "retrain",
        "services": {
            "postgres": SERVICE | {"image": POSTGRES, "user": "999:999", "volumes": [data, init]},
            "airflow-scheduler": ours | {"volumes": [home], "depends_on": {"postgres": {}}, "ports": [port]},
            "airflow-worker": ours
            | {"image": "${RETRAIN_WORKER_IMAGE}", "volumes": [home], "depends_on": {"mlflow": {}}},
            "mlflow": ours | {"image": "${RETRAIN_MLFLOW_IMAGE}"},
            "alerts": ours | {"volumes": [home], "secrets": [token]},
            "grafana": SERVICE
            | {
                "image": GRAFANA,
                "user": "472:472",
                "volumes": [bind("./infra/monitoring", "/etc/grafana", read_only=True)],
            },
        },
        "volumes": {"postgres-data": {"name": "retrain_postgres-data"}},
        "networks": {"default": {"name": "retrain_default", "ipam": {}}},
        "secrets": {"slack_token": {"name": "retrain_slack_token", "file": "${RETRAIN_SECRETS}/slack_token"}},
    }


@dataclass(frozen=True)
class DeployHost:
    """The host's folders, and what exists around it."""

    folder: Path
    registry: str

    @property
    def place(self) -> Path:
        return self.folder / "place"

    @property
    def live(self) -> str | None:
        path = self.place / "release"
        return path.read_text().strip() if path.exists() else None

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    @property
    def up(self) -> dict[str, Any]:
        """The document with which compose was called last."""
        document: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        return document

    @property
    def engine(self) -> dict[str, str]:
        return World(self.folder).local()

    def reference(self, image: str, tag: str) -> str:
        return f"{self.registry}/retrain/{image}@{manifest_of(f'{image} of {tag}')[1]}"

    def tell(self, **known: Any) -> None:
        """Change the world: `away=["ecr"]`, `secrets={...}`."""
        world = World(self.folder)
        world.known |= known
        world.save()

    def push(
        self,
        tag: str,
        compose: dict[str, Any] | None = None,
        *,
        signed_as: str | None = None,
        dashboard: str = "{}",
        **image: Any,
    ) -> None:
        """Push the images of a release, signed by the workflow on `signed_as` (default: this tag; "" for no signature)."""
        files = self.folder / "images" / tag
        for path, text in {
            "docker-compose.airflow.yml": json.dumps(compose or compose_file()),
            "infra/docker/postgres-databases.sh": "#!/bin/sh\n",
            "infra/monitoring/retrain.json": dashboard,
        }.items():
            (files / path).parent.mkdir(parents=True, exist_ok=True)
            (files / path).write_text(text)
        world = World(self.folder)
        for name in ("airflow", "worker", "mlflow"):
            reference = self.reference(name, tag)
            world.known["tags"][f"retrain/{name}:{tag}"] = f"{name} of {tag}"
            world.known["images"][reference] = {"id": f"sha256:{name}-{tag}", "files": str(files)} | image
            if signed_as != "":
                world.known["signed"][reference] = [WORKFLOW.format(tag=signed_as or tag), ISSUER]
        world.save()

    def set(self, **settings: str) -> None:
        """Change the settings in host.env; an empty value removes one."""
        path = self.folder / "etc" / "host.env"
        known = dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}
        known |= {name: f"'{value}'" for name, value in settings.items()}
        path.write_text("".join(f"{name}={value}\n" for name, value in known.items() if value != "''"))

    def deploy(self, *tag: str) -> tuple[int, str]:
        """Run `retrain-deploy`; returns its exit code and all that it printed."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "RETRAIN_ETC": str(self.folder / "etc"),
            "RETRAIN_PLACE": str(self.place),
            "RETRAIN_SECRETS": str(self.folder / "secrets"),
            "NO_PROXY": "127.0.0.1",
        }
        program = [sys.executable, str(PROGRAMS / "retrain_deploy.py"), *tag]
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr


@contextmanager
def deploy_host(folder: Path) -> Iterator[DeployHost]:
    """The host, with its volume on a folder of its own and two secrets that have values."""
    for name in ("etc", "bin", "place", "home"):
        (folder / name).mkdir()
    for program in ("aws", "docker", "cosign", "mount"):
        path = folder / "bin" / program
        standin = Path(__file__).with_name("deploy_standin.py")
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {standin} {folder} {program} "$@"\n')
        path.chmod(0o755)
    (folder / "etc" / "aws_credentials").write_text("[default]\n")
    with registry(folder) as address:
        host = DeployHost(folder, address)
        host.set(
            AWS_REGION="us-east-1",
            RETRAIN_REGISTRY=address,
            RETRAIN_IMAGE_PREFIX=f"{address}/retrain",
            RETRAIN_SIGNER="github:example/trip-duration",
            RETRAIN_THIRD_PARTY_IMAGES="postgres grafana/grafana",
            RETRAIN_HOST_SECRETS="slack_token fernet_key",
            RETRAIN_SECRETS_FOLDER="retrain/host",
            RETRAIN_SECRETS_COPY=str(folder / "copy"),
            RETRAIN_HOME_VOLUME=str(folder / "home"),
        )
        host.tell(secrets={"retrain/host/slack_token": "xoxb-1", "retrain/host/fernet_key": "f"})
        yield host
