"""The published images are the built and scanned ones, signed once. The registry is moto's; docker, syft, grype, cosign are stand-ins."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import publish
import pytest
from conftest import DeployAccount
from publish import PublishError, Registry, pack, push, verify

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
TAG = "v1.2.0"
IMAGES = ("airflow", "worker")


class Programs:
    """Stand-ins for docker, syft, grype and cosign, on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("docker", "syft", "grype", "cosign"):
            program = folder / "bin" / name
            script = Path(__file__).parent / "registry_standin.py"
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {script} {folder} {name} "$@"\n')
            program.chmod(0o755)

    def built(self, content: str = "as built") -> None:
        (self.folder / "engine").mkdir(exist_ok=True)
        for image in IMAGES:
            (self.folder / "engine" / f"retrain_{image}:{TAG}").write_text(f"{image} {content}")

    def fail(self, **faults: object) -> None:
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def called(self, beginning: str) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if line.startswith(beginning)]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs(tmp_path)
    monkeypatch.setattr(publish, "IMAGES", IMAGES)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "example/trip-duration")
    monkeypatch.setenv("GITHUB_REF", f"refs/tags/{TAG}")
    monkeypatch.setenv("GITHUB_SHA", "a" * 40)
    found.built()
    return found


@pytest.fixture
def registry(account: DeployAccount) -> Registry:
    ecr = account.client("ecr")
    for image in IMAGES:
        ecr.create_repository(repositoryName=f"retrain/{image}", imageTagMutability="IMMUTABLE")
    return Registry(ecr, HOST, "retrain")


def test_built_images_are_scanned_pushed_signed_and_found_again(
    programs: Programs, registry: Registry, tmp_path: Path
) -> None:
    pack(TAG, tmp_path / "images")
    pushed = push(TAG, tmp_path / "images", registry, os.environ)
    assert verify(TAG, registry, os.environ) == pushed
    assert set(pushed) == set(IMAGES)
    # By digest: a tag could be another image by the time that it is signed.
    assert all("@sha256:" in line for line in programs.called("cosign"))
    # The scan reads the same list that is attested.
    for image, line in zip(IMAGES, programs.called("grype"), strict=True):
        assert f"sbom:{tmp_path}/images/{image}.spdx.json" in line


def test_an_image_with_a_known_vulnerability_is_named_after_all_were_scanned(
    programs: Programs, tmp_path: Path
) -> None:
    programs.fail(weak=["airflow"])
    with pytest.raises(PublishError, match=r"^airflow: .*grype\.yaml"):
        pack(TAG, tmp_path / "images")
    assert (tmp_path / "images" / "worker.scan.txt").exists()


@pytest.mark.parametrize("stop", ["docker push", "cosign sign", "cosign attest"])
def test_an_interrupted_push_is_simply_repeated(
    programs: Programs, registry: Registry, tmp_path: Path, stop: str
) -> None:
    pack(TAG, tmp_path / "images")
    programs.fail(stop=stop)
    with pytest.raises(PublishError, match="stopped"):
        push(TAG, tmp_path / "images", registry, os.environ)
    programs.fail()
    push(TAG, tmp_path / "images", registry, os.environ)
    verify(TAG, registry, os.environ)


def test_an_image_that_is_there_is_neither_pushed_nor_signed_again(
    programs: Programs, registry: Registry, tmp_path: Path
) -> None:
    pack(TAG, tmp_path / "images")
    push(TAG, tmp_path / "images", registry, os.environ)
    (programs.folder / "calls").unlink()
    push(TAG, tmp_path / "images", registry, os.environ)
    assert not programs.called("docker push")
    assert not programs.called("cosign sign")
    assert not programs.called("cosign attest")


def test_another_image_under_the_same_tag_is_refused(programs: Programs, registry: Registry, tmp_path: Path) -> None:
    pack(TAG, tmp_path / "images")
    push(TAG, tmp_path / "images", registry, os.environ)
    programs.built("of another build")
    pack(TAG, tmp_path / "again")
    with pytest.raises(PublishError, match=r"is another image.*under a new tag"):
        push(TAG, tmp_path / "again", registry, os.environ)


def test_an_image_that_was_changed_after_the_build_is_not_pushed(
    programs: Programs, registry: Registry, tmp_path: Path
) -> None:
    pack(TAG, tmp_path / "images")
    packed = tmp_path / "images" / "airflow.tar"
    packed.write_text(packed.read_text().replace("as built", "as changed"))
    with pytest.raises(PublishError, match="It was changed after the build"):
        push(TAG, tmp_path / "images", registry, os.environ)
    assert not programs.called("docker push")


@pytest.mark.usefixtures("programs")
def test_a_signature_for_another_commit_does_not_count(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(TAG, tmp_path / "images")
    push(TAG, tmp_path / "images", registry, os.environ)
    monkeypatch.setenv("GITHUB_SHA", "b" * 40)
    with pytest.raises(PublishError, match="no matching signatures"):
        verify(TAG, registry, os.environ)


@pytest.mark.usefixtures("programs")
def test_a_release_without_its_images_is_not_deployed(registry: Registry) -> None:
    with pytest.raises(PublishError, match=r"airflow:v1\.2\.0 is not there"):
        verify(TAG, registry, os.environ)
