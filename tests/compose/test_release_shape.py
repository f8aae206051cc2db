"""The real compose file, as the real compose reads it, is what a host of infra/aws allows; no engine is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import images
import pytest
from bind_sources import with_stable_sources
from compose_shape import AllowedShape, check
from conftest import STATE
from engine import NoEngineError, with_compose
from running_stack import ROOT

PROGRAMS = ROOT / "infra" / "aws" / "modules" / "host" / "files"
SECRETS = "/run/retrain/secrets"
VOLUME = "/mnt/retrain/home"
ORIGIN = "/srv/retrain/origin.git"
OURS = {
    f"RETRAIN_{name.upper()}_IMAGE": f"registry/retrain/{name}@sha256:{'a' * 64}"
    for name in ("airflow", "worker", "mlflow")
}


def compose(*arguments: object) -> str:
    try:
        plugin = with_compose(images.docker(), STATE)
    except (NoEngineError, FileNotFoundError) as error:
        pytest.skip(f"NOT TESTED: the shape of the compose file. {error}")
    given = {"RETRAIN_SECRETS": SECRETS, "RETRAIN_HOME_VOLUME": VOLUME, "RETRAIN_ORIGIN": ORIGIN, **OURS, **plugin}
    command = [images.docker(), "compose", "--project-name=retrain", *map(str, arguments)]
    environment = {name: os.environ[name] for name in ("PATH", "HOME")} | given
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        compose(f"--file={ROOT / 'docker-compose.airflow.yml'}", "config", "--format=json")
    )
    return read


def test_a_host_allows_the_compose_file_as_it_is(document: dict[str, Any]) -> None:
    block = (PROGRAMS.parent / "variables.tf").read_text().split('variable "third_party_images"')[1].split("\n}\n")[0]
    allowed = AllowedShape(
        trusted=frozenset(OURS.values()),
        third_party=frozenset(re.findall(r'"([^"\s]+)"', block.split("default = [")[1])),
        folder=ROOT,
        shared=frozenset({VOLUME}),
        readable=frozenset({("*", ORIGIN), ("node-exporter", "/usr/share")}),
        secrets=Path(SECRETS),
        addresses=frozenset({"127.0.0.1"}),
    )
    check(document, allowed)


def test_the_checked_document_starts_the_same_containers_as_the_file(document: dict[str, Any], tmp_path: Path) -> None:
    """Compose's own hash of each service: equal but for services whose mounted files have another path."""
    (tmp_path / "whole.json").write_text(json.dumps(document))
    original = compose(f"--file={ROOT / 'docker-compose.airflow.yml'}", "config", "--hash=*")
    assert sorted(compose(f"--file={tmp_path / 'whole.json'}", "config", "--hash=*").split()) == sorted(
        original.split()
    )


def test_a_release_in_another_folder_does_not_replace_postgres(document: dict[str, Any], tmp_path: Path) -> None:
    def hashes(name: str) -> dict[str, str]:
        folder = tmp_path / name
        (folder / "infra").mkdir(parents=True)
        for path in ("infra/docker", "infra/monitoring"):
            (folder / path).parent.mkdir(exist_ok=True)
            subprocess.run(["cp", "-r", ROOT / path, folder / path], check=True)
        moved = json.loads(json.dumps(document).replace(f'"{ROOT}/', f'"{folder}/'))
        stable = with_stable_sources(moved, folder, tmp_path / "mounts")
        (folder / "compose.json").write_text(json.dumps(stable))
        said = compose(f"--file={folder / 'compose.json'}", "config", "--hash=*").split()
        return dict(zip(said[::2], said[1::2], strict=True))

    first = hashes("v1.0.0")
    assert hashes("v1.1.0") == first
