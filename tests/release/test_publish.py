"""The published images are the built and scanned ones; a tag exists only once all are signed. docker, syft, grype, cosign are stand-ins."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import publish
import pytest
import signatures
from botocore.exceptions import ClientError
from conftest import ROOT, DeployAccount
from contents import LARGEST_ATTESTATION, AttestationSizeError
from image_layout import MANIFEST, Layout, LayoutError
from publish import IMAGES, PublishError, find, pack, push, verify
from registry import Registry, RegistryError
from registry_standin import LOG_TAKES
from signatures import SignatureError, identity

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
TAG = "v1.2.0"


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

    def built(self, content: str = "as built", architecture: str = "amd64") -> None:
        """Every image has the base's layer and its own; the worker has Airflow's too, as in the Dockerfile."""
        (self.folder / "engine").mkdir(exist_ok=True)
        layers = {image: ["Debian and Python " * 1000, f"{image} {content}"] for image in IMAGES}
        layers["worker"].insert(1, layers["airflow"][1])
        for image in IMAGES:
            packed = [base64.b64encode(layer.encode()).decode() for layer in layers[image]]
            built = {"layers": packed, "architecture": architecture}
            (self.folder / "engine" / f"retrain_{image}:{TAG}").write_text(json.dumps(built))

    def fail(self, **faults: object) -> None:
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def called(self, beginning: str) -> list[str]:
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs(tmp_path)
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


@pytest.fixture
def packed(programs: Programs, tmp_path: Path) -> Path:
    assert programs
    pack(TAG, tmp_path / "images")
    return tmp_path / "images"


def tags(registry: Registry) -> set[str]:
    """The images that have the release's tag."""
    return {image for image in IMAGES if registry.tagged(image, TAG)}


def test_built_images_are_scanned_pushed_signed_and_found_again(
    programs: Programs, registry: Registry, packed: Path
) -> None:
    pushed = push(TAG, packed, registry, os.environ)
    assert verify(TAG, registry, os.environ) == pushed
    assert set(pushed) == set(IMAGES)
    # By digest: a tag could be another image by the time that it is signed.
    assert all("@sha256:" in line for line in programs.called("cosign"))
    # The scan reads the same list that is attested.
    attested = {line.split("--predicate=")[1].split()[0] for line in programs.called("cosign attest")}
    assert {line.split("sbom:")[1].split()[0] for line in programs.called("grype")} == attested


def test_a_layer_that_several_images_have_is_packed_once_and_compressed(packed: Path) -> None:
    layout = Layout(packed)
    made = layout.manifests()
    blobs = {image: list(manifest.blobs)[:-1] for image, manifest in made.items()}
    assert blobs["airflow"] == blobs["worker"][:2]
    assert blobs["airflow"][0] == blobs["mlflow"][0]
    assert layout.blob(blobs["airflow"][0]).stat().st_size < len("Debian and Python " * 1000) / 10
    assert not (packed / "saved.tar").exists()


def test_the_same_images_are_packed_into_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    again = pack(TAG, tmp_path / "again")
    assert {image: manifest.digest for image, manifest in Layout(packed).manifests().items()} == {
        image: manifest.digest for image, manifest in again.items()
    }


def test_an_image_with_a_known_vulnerability_is_named_after_all_were_scanned(
    programs: Programs, tmp_path: Path
) -> None:
    programs.fail(weak=["airflow"])
    with pytest.raises(PublishError, match=r"^airflow: .*grype\.yaml"):
        pack(TAG, tmp_path / "images")
    assert (tmp_path / "images" / "worker.scan.txt").exists()


def test_an_image_for_another_machine_is_refused_before_it_is_packed_and_before_it_is_pushed(
    programs: Programs, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.built(architecture="arm64")
    with pytest.raises(PublishError, match=r"airflow was built for linux/arm64, the hosts run linux/amd64"):
        pack(TAG, tmp_path / "images")
    pack(TAG, tmp_path / "images", "linux/arm64")
    with pytest.raises(PublishError, match=r"images\.py --platform linux/amd64"):
        push(TAG, tmp_path / "images", registry, os.environ)
    assert not programs.called("cosign")
    monkeypatch.setenv("RETRAIN_PLATFORM", "linux/arm64")
    assert set(push(TAG, tmp_path / "images", registry, os.environ)) == set(IMAGES)


def test_a_list_of_the_real_length_is_attested(programs: Programs, registry: Registry, tmp_path: Path) -> None:
    programs.fail(packages={"worker": 1200})
    pack(TAG, tmp_path / "images")
    push(TAG, tmp_path / "images", registry, os.environ)
    assert (tmp_path / "images" / "worker.spdx.json").stat().st_size < LARGEST_ATTESTATION / 2


def test_a_list_that_the_public_log_would_refuse_stops_the_release_before_anything_is_pushed(
    programs: Programs, registry: Registry, packed: Path, tmp_path: Path
) -> None:
    programs.fail(packages={"worker": 9000})
    with pytest.raises(AttestationSizeError, match=r"worker\.spdx\.json makes an attestation of [\d,]+ bytes"):
        pack(TAG, tmp_path / "long")
    (packed / "mlflow.spdx.json").write_text(json.dumps({"packages": "x" * LARGEST_ATTESTATION}))
    with pytest.raises(AttestationSizeError, match=r"Nothing was pushed"):
        push(TAG, packed, registry, os.environ)
    assert not programs.called("cosign")
    assert not registry.ecr.list_images(repositoryName="retrain/airflow")["imageIds"]


def test_the_log_of_the_stand_in_refuses_what_our_limit_keeps_from_it(
    programs: Programs, registry: Registry, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LARGEST_ATTESTATION < LOG_TAKES
    (packed / "airflow.spdx.json").write_text(json.dumps({"packages": "x" * LOG_TAKES}))
    monkeypatch.setattr("contents.check", lambda _: 0)
    with pytest.raises(SignatureError, match=r"rekor\.sigstore\.dev.* giving up after 4 attempt"):
        push(TAG, packed, registry, os.environ)
    assert programs.called("cosign sign")
    assert tags(registry) == set()


@pytest.mark.parametrize(("stop", "image"), [("cosign sign", "airflow"), ("cosign attest", "mlflow")])
def test_a_release_that_is_not_signed_completely_has_no_tag_and_can_be_repeated_with_the_same_images(
    programs: Programs, registry: Registry, packed: Path, stop: str, image: str
) -> None:
    programs.fail(stop=stop, image=f"/{image}@")
    with pytest.raises(SignatureError, match="stopped"):
        push(TAG, packed, registry, os.environ)
    assert tags(registry) == set()
    assert find(TAG, registry, os.environ) is None
    programs.fail()
    push(TAG, packed, registry, os.environ)
    verify(TAG, registry, os.environ)


def test_a_release_that_is_not_signed_completely_can_be_repeated_with_images_of_another_build(
    programs: Programs, registry: Registry, packed: Path, tmp_path: Path
) -> None:
    programs.fail(stop="cosign attest", image="/mlflow@")
    with pytest.raises(SignatureError, match="stopped"):
        push(TAG, packed, registry, os.environ)
    programs.fail()
    programs.built("of another build")
    pack(TAG, tmp_path / "again")
    pushed = push(TAG, tmp_path / "again", registry, os.environ)
    assert verify(TAG, registry, os.environ) == pushed


@pytest.mark.parametrize("set_tags", [1, 2])
def test_a_release_whose_first_tag_is_set_is_published_and_the_other_tags_follow(
    registry: Registry, packed: Path, set_tags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = Registry.tag

    def stops(self: Registry, image: str, *rest: Any) -> None:
        if len(tags(self)) == set_tags:
            raise RegistryError("stopped")
        tag(self, image, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "tag", stops)
        with pytest.raises(RegistryError, match="stopped"):
            push(TAG, packed, registry, os.environ)
    assert len(tags(registry)) == set_tags
    found = find(TAG, registry, os.environ)
    assert found
    assert verify(TAG, registry, os.environ) == {image: manifest.digest for image, manifest in found.items()}
    assert tags(registry) == set(IMAGES)


def test_an_image_that_is_there_is_neither_pushed_nor_signed_again(
    programs: Programs, registry: Registry, packed: Path
) -> None:
    push(TAG, packed, registry, os.environ)
    programs.forget()
    push(TAG, packed, registry, os.environ)
    assert not programs.called("cosign sign")
    assert not programs.called("cosign attest")


def test_another_image_under_the_same_tag_is_refused(
    programs: Programs, registry: Registry, packed: Path, tmp_path: Path
) -> None:
    push(TAG, packed, registry, os.environ)
    programs.built("of another build")
    pack(TAG, tmp_path / "again")
    programs.forget()
    with pytest.raises(RegistryError, match=r"is another image.*run the whole workflow again.*under a new tag"):
        push(TAG, tmp_path / "again", registry, os.environ)
    assert not programs.called("cosign")


def test_a_tag_that_another_run_has_taken_in_the_meantime_is_refused(
    programs: Programs, registry: Registry, packed: Path, tmp_path: Path
) -> None:
    ours = Layout(packed).manifests()["mlflow"]
    registry.push("mlflow", ours, Layout(packed))
    programs.built("of another build")
    theirs = pack(TAG, tmp_path / "again")["mlflow"]
    registry.push("mlflow", theirs, Layout(tmp_path / "again"))
    registry.tag("mlflow", theirs, TAG)
    with pytest.raises(RegistryError, match=r"mlflow:v1\.2\.0 is there already and is another image"):
        registry.tag("mlflow", ours, TAG)


@pytest.mark.parametrize("blob", [0, -1], ids=["layer", "configuration"])
def test_an_image_that_was_changed_after_the_build_gets_no_tag(registry: Registry, packed: Path, blob: int) -> None:
    layout = Layout(packed)
    digest = list(layout.manifests()["worker"].blobs)[blob]
    layout.blob(digest).write_bytes(layout.blob(digest).read_bytes() + b" ")
    with pytest.raises((LayoutError, RegistryError), match=r"changed after the build|InvalidLayerException"):
        push(TAG, packed, registry, os.environ)
    assert tags(registry) == set()


def test_a_manifest_that_was_changed_after_the_build_is_refused(registry: Registry, packed: Path) -> None:
    layout = Layout(packed)
    path = layout.blob(layout.manifests()["airflow"].digest)
    path.write_bytes(path.read_bytes().replace(b'"schemaVersion":2', b'"schemaVersion": 2'))
    with pytest.raises(LayoutError, match=r"manifest of airflow .* changed after the build"):
        push(TAG, packed, registry, os.environ)


def test_images_of_another_release_are_not_pushed(registry: Registry, packed: Path) -> None:
    with pytest.raises(PublishError, match=r"holds .*v1\.2\.0.*not v1\.3\.0"):
        push("v1.3.0", packed, registry, os.environ)


@pytest.mark.usefixtures("programs")
def test_a_signature_for_another_commit_does_not_count(
    registry: Registry, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(TAG, packed, registry, os.environ)
    monkeypatch.setenv("GITHUB_SHA", "b" * 40)
    for ask in (find, verify):
        with pytest.raises(SignatureError, match="no matching signatures"):
            ask(TAG, registry, os.environ)


@pytest.mark.usefixtures("programs")
def test_a_signature_of_another_repository_does_not_count(
    registry: Registry, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(TAG, packed, registry, os.environ)
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/trip-duration")
    with pytest.raises(SignatureError, match="no matching signatures"):
        find(TAG, registry, os.environ)


@pytest.mark.usefixtures("programs")
def test_the_hosts_check_accepts_a_published_image_and_not_under_another_releases_name(
    registry: Registry, packed: Path
) -> None:
    pushed = push(TAG, packed, registry, os.environ)
    with registry.login() as access:
        for image, digest in pushed.items():
            signatures.verify(registry.reference(image, digest), identity("example/trip-duration", TAG), access)
            with pytest.raises(SignatureError, match="no matching signatures"):
                signatures.verify(
                    registry.reference(image, digest), identity("example/trip-duration", "v9.9.9"), access
                )


def test_the_page_says_what_the_host_checks() -> None:
    page = (ROOT / "infra" / "release" / "README.md").read_text()
    for argument in identity("OWNER/NAME", TAG):
        assert f"  {argument} \\\n" in page
    for image in IMAGES[1:]:
        assert f"`retrain.image.{image}`" in page


@pytest.mark.usefixtures("programs")
def test_a_release_without_its_images_is_not_deployed(registry: Registry) -> None:
    with pytest.raises(PublishError, match=r"airflow:v1\.2\.0 is not there"):
        verify(TAG, registry, os.environ)


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("by_hand", ["airflow", "worker"])
def test_images_that_were_tagged_by_hand_are_refused_with_the_next_step(
    registry: Registry, packed: Path, by_hand: str
) -> None:
    document = json.loads(Layout(packed).manifests()[by_hand].content)
    del document["annotations"]
    registry.push(by_hand, Layout(packed).manifests()[by_hand], Layout(packed))
    registry.ecr.put_image(
        repositoryName=f"retrain/{by_hand}",
        imageManifest=json.dumps(document),
        imageManifestMediaType=MANIFEST,
        imageTag=TAG,
    )
    with pytest.raises(PublishError, match=r"this workflow.*A tag never changes: release the commit under a new tag"):
        find(TAG, registry, os.environ)


@pytest.mark.usefixtures("programs")
def test_an_image_that_was_tagged_by_hand_beside_a_published_one_is_refused(registry: Registry, packed: Path) -> None:
    made = Layout(packed).manifests()
    push(TAG, packed, registry, os.environ)
    document = json.loads(made["worker"].content) | {"annotations": {}}
    registry.ecr.batch_delete_image(repositoryName="retrain/worker", imageIds=[{"imageTag": TAG}])
    registry.push("worker", made["worker"], Layout(packed))
    registry.ecr.put_image(
        repositoryName="retrain/worker",
        imageManifest=json.dumps(document),
        imageManifestMediaType=MANIFEST,
        imageTag=TAG,
    )
    with pytest.raises(PublishError, match=r"worker:v1\.2\.0 is not the image that airflow:v1\.2\.0 names"):
        find(TAG, registry, os.environ)


def test_the_registry_of_the_stand_in_refuses_what_ecr_refuses(registry: Registry, packed: Path) -> None:
    made = Layout(packed).manifests()
    repository = {"repositoryName": "retrain/airflow", "imageManifestMediaType": MANIFEST}
    first = made["airflow"].content.decode()
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        registry.ecr.put_image(**repository, imageManifest=first)
    registry.push("airflow", made["airflow"], Layout(packed))
    with pytest.raises(ClientError, match="ImageDigestDoesNotMatchException"):
        registry.ecr.put_image(**repository, imageManifest=first + " ", imageDigest=made["airflow"].digest)
    registry.tag("airflow", made["airflow"], TAG)
    with pytest.raises(ClientError, match="ImageTagAlreadyExistsException"):
        registry.ecr.put_image(**repository, imageManifest=first + " ", imageTag=TAG)
    upload = registry.ecr.initiate_layer_upload(repositoryName="retrain/airflow")["uploadId"]
    for first_byte in (0, 1):
        registry.ecr.upload_layer_part(
            repositoryName="retrain/airflow",
            uploadId=upload,
            partFirstByte=first_byte,
            partLastByte=first_byte,
            layerPartBlob=b"x",
        )
    with pytest.raises(ClientError, match="LayerPartTooSmallException"):
        registry.ecr.complete_layer_upload(
            repositoryName="retrain/airflow", uploadId=upload, layerDigests=["sha256:" + "0" * 64]
        )


def test_the_command_says_in_the_steps_output_whether_the_release_is_published(
    registry: Registry, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("RETRAIN_REGISTRY", HOST)
    monkeypatch.setenv("RETRAIN_NAME", "retrain")
    assert publish.main(["find", TAG]) == 0
    push(TAG, packed, registry, os.environ)
    assert publish.main(["find", TAG]) == 0
    assert (tmp_path / "output").read_text() == "published=false\npublished=true\n"
