"""Public images are pinned to digests, each in one place; a registry with token access says whether the pins are current."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import base_images
import pytest
from base_images import BaseImageError, current, main
from base_images import base_images as pinned_images
from conftest import ROOT

OLD, NEW = (f"sha256:{hashlib.sha256(word.encode()).hexdigest()}" for word in ("old", "new"))
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class DistributionStandin:
    """A registry's API for readers without an account, as Docker Hub has it: 401, then a token for one repository."""

    address: str = ""
    images: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def distribution() -> Iterator[DistributionStandin]:
    standin = DistributionStandin()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            standin.asked.append(f"{self.command} {self.path}")
            where = urllib.parse.urlsplit(self.path)
            if where.path == "/token":
                scope = urllib.parse.parse_qs(where.query)["scope"][0]
                self.answer(200, json.dumps({"token": f"may {scope}"}).encode())
                return
            found = re.fullmatch(r"/v2/(?P<name>.+)/manifests/(?P<tag>[\w.-]+)", where.path)
            if not found:
                self.answer(404)
                return
            scope = f"repository:{found['name']}:pull"
            if self.headers.get("Authorization") != f"Bearer may {scope}":
                challenge = f'Bearer realm="{standin.address}/token",service="registry",scope="{scope}"'
                self.answer(401, challenge=challenge)
                return
            digest = standin.images.get(f"{found['name']}:{found['tag']}")
            # Without this kind in Accept, a registry gives the image of one kind of machine: another digest.
            if digest is None or INDEX not in self.headers.get("Accept", ""):
                self.answer(404)
                return
            self.answer(200, digest=digest)

        do_HEAD = do_GET  # noqa: N815 - the name that the server calls

        def answer(self, status: int, content: bytes = b"", digest: str = "", challenge: str = "") -> None:
            self.send_response(status)
            for name, value in (("Docker-Content-Digest", digest), ("WWW-Authenticate", challenge)):
                if value:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    standin.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    dockerfile, compose = tmp_path / "Dockerfile", tmp_path / "compose.yml"
    dockerfile.write_text(
        "ARG PYTHON_IMAGE=pinned\n"
        f"FROM python:3.11.16-slim-bookworm@{OLD} AS pinned\n"
        "FROM ${PYTHON_IMAGE} AS base\nFROM base AS worker\n"
    )
    compose.write_text(
        "services:\n"
        "  redis:\n    image: ${REDIS_IMAGE:-redis:7.4.11-bookworm}\n"
        f"  prometheus:\n    image: ${{PROMETHEUS_IMAGE:-prom/prometheus:v3.13.4@{NEW}}}\n"
        "  airflow:\n    image: ${RETRAIN_AIRFLOW_IMAGE:-retrain/airflow:local}\n"
    )
    return dockerfile, compose


@pytest.fixture
def answering(distribution: DistributionStandin) -> DistributionStandin:
    distribution.images |= dict.fromkeys(
        ("library/python:3.11.16-slim-bookworm", "library/redis:7.4.11-bookworm", "prom/prometheus:v3.13.4"), NEW
    )
    return distribution


def test_every_public_image_is_pinned_by_tag_and_digest_and_never_twice_differently() -> None:
    found = pinned_images()
    assert {image.name: image.digest for image in found if not image.digest} == {}
    assert len({image.name for image in found}) == len(found)
    assert {"python", "postgres", "redis", "prom/prometheus", "grafana/grafana"} <= {image.name for image in found}


def test_no_image_of_the_dockerfile_or_the_compose_file_escapes_the_list() -> None:
    known = {image.reference for image in pinned_images()}
    dockerfile, compose = (path.read_text() for path in base_images.FILES)
    stages = set(re.findall(r" AS ([\w-]+)$", dockerfile, re.MULTILINE))
    for source in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE):
        assert source in known | stages or re.fullmatch(r"\$\{(PYTHON|UV)_IMAGE\}", source), source
    for default in re.findall(r"^\s+image: \$\{[A-Z_]+:-(\S+)\}", compose, re.MULTILINE):
        assert default in known or default.startswith("retrain/"), default
    assert len(re.findall(r"^\s+image: ", compose, re.MULTILINE)) == len(
        re.findall(r"^\s+image: \$\{", compose, re.MULTILINE)
    )


def test_uv_is_the_same_everywhere_and_is_installed_by_hash() -> None:
    locked = (ROOT / "infra" / "docker" / "uv" / "requirements.txt").read_text()
    assert re.search(r"^uv==[\d.]+ \\$", locked, re.MULTILINE)
    assert re.search(
        r"^UV_VERSION := .*infra/docker/uv/requirements\.txt", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", locked)) > 1
    dockerfile = base_images.FILES[0].read_text()
    assert "--require-hashes" in dockerfile
    assert "infra/docker/uv/requirements.txt" in dockerfile


def test_pins_that_are_current_pass(files: tuple[Path, ...], answering: DistributionStandin) -> None:
    said: list[str] = []
    assert main(["update"], files, answering.address, said.append) == 0
    assert main(["check"], files, answering.address, said.append) == 0


def test_a_tag_that_was_built_again_and_an_image_without_a_digest_are_named(
    files: tuple[Path, ...], answering: DistributionStandin
) -> None:
    said: list[str] = []
    assert main(["check"], files, answering.address, said.append) == 1
    assert f"python:3.11.16-slim-bookworm is {NEW}, pinned is {OLD}" in said
    assert f"redis:7.4.11-bookworm is {NEW}, pinned is nothing" in said
    assert f"prom/prometheus:v3.13.4 is {NEW}, current" in said


def test_an_update_writes_the_new_digests_and_nothing_else(
    files: tuple[Path, ...], answering: DistributionStandin
) -> None:
    before = [path.read_text() for path in files]
    main(["update"], files, answering.address, lambda _: None)
    assert {image.digest for image in pinned_images(files)} == {NEW}
    assert [path.read_text().replace(f"@{NEW}", "") for path in files] == [
        text.replace(f"@{OLD}", "").replace(f"@{NEW}", "") for text in before
    ]


def test_a_registry_is_asked_for_the_index_of_all_machines_with_a_token_for_one_repository(
    files: tuple[Path, ...], answering: DistributionStandin
) -> None:
    assert current(pinned_images(files)[0], answering.address) == NEW
    assert answering.asked == [
        "HEAD /v2/library/python/manifests/3.11.16-slim-bookworm",
        "GET /token?service=registry&scope=repository%3Alibrary%2Fpython%3Apull",
        "HEAD /v2/library/python/manifests/3.11.16-slim-bookworm",
    ]


def test_a_tag_that_the_registry_does_not_have_is_named_and_nothing_is_written(
    files: tuple[Path, ...], answering: DistributionStandin
) -> None:
    before = [path.read_text() for path in files]
    del answering.images["library/redis:7.4.11-bookworm"]
    said: list[str] = []
    assert main(["update"], files, answering.address, said.append) == 2
    assert re.search(r"did not say which image redis:7\.4\.11-bookworm is .*404", said[0])
    assert [path.read_text() for path in files] == before


def test_a_registry_that_does_not_answer_is_named(files: tuple[Path, ...]) -> None:
    with pytest.raises(BaseImageError, match=r"registry-1\.docker\.io did not say which image python:"):
        current(pinned_images(files)[0], "http://127.0.0.1:9")
