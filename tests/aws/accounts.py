"""Two stand-ins for an AWS account on the loopback interface. Neither knows all of AWS; the tests that use one say what it lacks."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from terraform_cli import ROOT

sys.path.insert(0, str(ROOT / "tests" / "infra"))

from loopback import free_ports, wait_until

REGION = "us-east-1"
_ONCE = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@dataclass(frozen=True)
class Account:
    """An account with the credentials of one of its users: at first its owner, who may do everything."""

    url: str
    number: str
    keys: Mapping[str, str]
    certificate: Path | None = None

    def environment(self) -> dict[str, str]:
        """The variables with which an AWS client uses this account and no other."""
        names = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Terraform would repeat a request 25 times that the stand-in does not know.
            "AWS_MAX_ATTEMPTS": "3",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "AWS_ACCESS_KEY_ID": self.keys["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.keys["aws_secret_access_key"],
        }
        if "aws_session_token" in self.keys:
            names["AWS_SESSION_TOKEN"] = self.keys["aws_session_token"]
        return names | ({"AWS_CA_BUNDLE": str(self.certificate)} if self.certificate else {})

    def client(self, service: str) -> Any:
        verify = str(self.certificate) if self.certificate else None
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, verify=verify, config=_ONCE, **self.keys
        )

    def role(self, name: str) -> Account:
        """The same account with a role's credentials, which are requested with the current ones."""
        given = self.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{self.number}:role/{name}", RoleSessionName="tests"
        )["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        return Account(self.url, self.number, keys, self.certificate)


@dataclass
class _AccountServer:
    argv: list[str]
    environment: dict[str, str]
    health: str
    certificate: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        with log.open("wb") as output:
            process = subprocess.Popen(self.argv, env=self.environment, stdout=output, stderr=output)
        try:
            wait_until(lambda: self._answers() or process.poll() is not None, f"{self.health} answers; see {log}")
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)

    def _answers(self) -> bool:
        if self.certificate and not self.certificate.exists():
            return False
        trust = ssl.create_default_context(cafile=str(self.certificate)) if self.certificate else None
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)]
        try:
            with urllib.request.build_opener(*handlers).open(self.health, timeout=10):
                return True
        except OSError:
            return False


@contextmanager
def enforcing(state: Path) -> Iterator[Account]:
    """ministack over TLS. It decides each request by IAM and by the resources' own policies, as AWS does."""
    (port,) = free_ports(1)
    state.mkdir()
    owner = {"aws_access_key_id": "owner", "aws_secret_access_key": "owner-secret"}
    server = _AccountServer(
        [sys.executable, str(Path(__file__).with_name("enforcing_standin.py"))],
        {
            "PATH": os.environ["PATH"],
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "USE_SSL": "1",
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": owner["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": owner["aws_secret_access_key"],
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(state),
            "LOG_LEVEL": "WARNING",
            # Databases are described, not started.
            "DOCKER_HOST": f"unix://{state}/no-docker.sock",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        },
        f"https://127.0.0.1:{port}/_ministack/health",
        state / "ministack-tls" / "server.crt",
    )
    with server.running(state / "server.log"):
        yield Account(f"https://127.0.0.1:{port}", "000000000000", owner, server.certificate)


@contextmanager
def describing(state: Path) -> Iterator[Account]:
    """moto: knows more resources, and lets every user create them."""
    (port,) = free_ports(1)
    state.mkdir()
    environment = os.environ | {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    program = os.environ.get("MOTO_SERVER") or str(ROOT / ".local" / "envs" / "moto" / "bin" / "moto_server")
    server = _AccountServer(
        [program, "-H", "127.0.0.1", "-p", str(port)], environment, f"http://127.0.0.1:{port}/moto-api/"
    )
    with server.running(state / "server.log"):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test-secret"}
        yield Account(f"http://127.0.0.1:{port}", "123456789012", keys)
