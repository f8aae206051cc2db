"""The health check of a worker whose broker speaks TLS, as ElastiCache does: its first words to a server that is no Redis."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class TlsServer:
    certificate: Path
    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsServer]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    found = TlsServer(certificate)

    class Listener(BaseRequestHandler):
        def handle(self) -> None:
            try:
                with context.wrap_socket(self.request, server_side=True) as spoken:
                    found.heard.append(spoken.recv(100))
                    spoken.sendall(b"-NOAUTH this is no Redis\r\n")
            except OSError as error:
                found.refusals.append(str(error))

    with ThreadingTCPServer(("127.0.0.1", 0), Listener) as listening:
        found.port = listening.server_address[1]
        Thread(target=listening.serve_forever, daemon=True).start()
        yield found
        listening.shutdown()


def pinged(server: TlsServer, tmp_path: Path, scheme: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the health check with a broker's URL as Terraform gives it."""
    url = tmp_path / "broker_url"
    url.write_text(f"{scheme}://localhost:{server.port}/0{'?ssl_cert_reqs=required' if scheme == 'rediss' else ''}\n")
    return subprocess.run(
        [sys.executable, str(ROOT / "infra" / "docker" / "ping_worker.py"), str(url)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_trusted_broker_is_spoken_to_over_tls(server: TlsServer, tmp_path: Path) -> None:
    done = pinged(server, tmp_path, "rediss", SSL_CERT_FILE=str(server.certificate))
    assert server.heard, done.stderr
    assert server.heard[0].startswith(b"*"), "not Redis' protocol"
    assert done.returncode != 0
    assert "this is no Redis" in done.stderr


def test_a_broker_with_an_unknown_certificate_is_told_nothing(server: TlsServer, tmp_path: Path) -> None:
    done = pinged(server, tmp_path, "rediss")
    assert done.returncode != 0
    assert "certificate verify failed" in done.stderr
    assert server.heard == []


def test_plain_text_does_not_reach_a_broker_that_speaks_tls(server: TlsServer, tmp_path: Path) -> None:
    assert pinged(server, tmp_path, "redis").returncode != 0
    assert server.heard == []
