"""The images of a release: one job builds and scans them without any rights, another pushes and signs exactly these.

    publish.py pack v1.2.0 FOLDER      save the built images, list their contents, scan those lists
    publish.py push v1.2.0 FOLDER      load the saved images, push those that the registry lacks, sign them, attest the lists
    publish.py verify v1.2.0           check that this repository's release workflow signed the registry's images of this tag

Reads RETRAIN_REGISTRY (…dkr.ecr.….amazonaws.com), RETRAIN_NAME, GITHUB_REPOSITORY, GITHUB_SHA, and AWS_… (web_identity.py).
docker, syft, grype and cosign must be on the PATH. A tag in the registry never changes: an image that is already there is kept if
it is the same, and refused if it is another. So an interrupted `push` can be repeated.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from retrain_release import RELEASE
from web_identity import WebIdentityError, session

IMAGES = ("airflow", "worker", "mlflow")
_CONFIGURATION = Path(__file__).with_name("grype.yaml")
_ISSUER = "https://token.actions.githubusercontent.com"
_MANIFESTS = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]


class PublishError(Exception):
    """An image was not packed, pushed, signed or verified; the message says which and why."""


@dataclass(frozen=True)
class Registry:
    """The deployment's repositories in ECR: `<name>/<image>`."""

    ecr: Any
    host: str
    name: str

    def reference(self, image: str) -> str:
        """The name of an image's repository, without a tag."""
        return f"{self.host}/{self.name}/{image}"

    def published(self, image: str, release: str) -> tuple[str, set[str]] | None:
        """The digest of the tag, with all ids that a Docker engine may use for the same image; None if the tag is free.

        Raises:
            PublishError: ECR answered with another failure than "not found".
        """
        answer = self.ecr.batch_get_image(
            repositoryName=f"{self.name}/{image}", imageIds=[{"imageTag": release}], acceptedMediaTypes=_MANIFESTS
        )
        if not answer["images"]:
            codes = {failure.get("failureCode") for failure in answer.get("failures", [])}
            if codes - {"ImageNotFound"}:
                raise PublishError(
                    f"ECR did not say whether {image}:{release} exists: {answer['failures']}. Run this again."
                )
            return None
        found = answer["images"][0]
        digest = str(found["imageId"]["imageDigest"])
        manifest = json.loads(found["imageManifest"])
        # An engine identifies an image by its configuration or (with containerd's store) by its manifest.
        return digest, {digest, str(manifest.get("config", {}).get("digest", digest))}

    @contextmanager
    def login(self) -> Iterator[dict[str, str]]:
        """Variables that give docker and cosign access to the registry, until the context ends."""
        granted = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(granted).decode().partition(":")
        with tempfile.TemporaryDirectory() as folder:
            environment = {"DOCKER_CONFIG": folder}
            command = ["docker", "login", "--username", user, "--password-stdin", self.host]
            _run(command, environment, given=password)
            yield environment


def pack(release: str, folder: Path) -> dict[str, str]:
    """Save, list and scan each image; returns image -> id.

    Raises:
        PublishError: an image is missing, or has a known vulnerability that grype.yaml does not accept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids, refused = {}, []
    for image in IMAGES:
        built, contents = f"retrain/{image}:{release}", folder / f"{image}.spdx.json"
        ids[image] = _run(["docker", "image", "inspect", "--format={{.Id}}", built]).strip()
        _run(["docker", "save", f"--output={folder / f'{image}.tar'}", built])
        _run(["syft", "scan", f"docker:{built}", f"--output=spdx-json={contents}"])
        report = folder / f"{image}.scan.txt"
        scan = ["grype", f"sbom:{contents}", f"--config={_CONFIGURATION}", f"--file={report}"]
        try:
            _run(scan)
        except PublishError as error:
            refused.append(f"{image}: {error}")
        if report.exists():
            print(f"{image}\n{report.read_text(encoding='utf-8')}")
    (folder / "images.json").write_text(json.dumps({"release": release, "ids": ids}, indent=1), encoding="utf-8")
    if refused:
        raise PublishError(
            "; ".join(refused) + f". Use newer versions, or write in {_CONFIGURATION.name} why it does not matter."
        )
    return ids


def push(release: str, folder: Path, registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    """Push the images that the registry lacks, then sign all; returns image -> digest.

    Raises:
        PublishError: the folder's images are not the built ones, or the registry has others under this tag.
    """
    known = json.loads((folder / "images.json").read_text(encoding="utf-8"))
    if known["release"] != release or set(known["ids"]) != set(IMAGES):
        raise PublishError(f"{folder} holds {known['release']} with {sorted(known['ids'])}, not {release}.")
    digests = {}
    with registry.login() as access:
        for image in IMAGES:
            digests[image] = _pushed(release, image, folder, known["ids"][image], registry, access)
            _sign(f"{registry.reference(image)}@{digests[image]}", folder / f"{image}.spdx.json", access, environ)
            print(f"{registry.reference(image)}:{release} is {digests[image]}", flush=True)
    return digests


def _pushed(release: str, image: str, folder: Path, built: str, registry: Registry, access: dict[str, str]) -> str:
    there = registry.published(image, release)
    if there is None:
        _run(["docker", "load", f"--input={folder / f'{image}.tar'}"], access)
        if (
            loaded := _run(["docker", "image", "inspect", "--format={{.Id}}", f"retrain/{image}:{release}"]).strip()
        ) != built:
            raise PublishError(
                f"{image}.tar holds {loaded}, built was {built}. It was changed after the build: build again."
            )
        _run(["docker", "tag", f"retrain/{image}:{release}", f"{registry.reference(image)}:{release}"], access)
        _run(["docker", "push", "--quiet", f"{registry.reference(image)}:{release}"], access)
        there = registry.published(image, release)
    if there is None:
        raise PublishError(
            f"{registry.reference(image)}:{release} was pushed but is missing. Look at the repository in ECR."
        )
    digest, ids = there
    if built not in ids:
        raise PublishError(
            f"{registry.reference(image)}:{release} is there already and is another image: {digest}, built was {built}. "
            "A release never changes: release the commit under a new tag."
        )
    return digest


def _sign(reference: str, contents: Path, access: dict[str, str], environ: Mapping[str, str]) -> None:
    """Sign the image and attest its contents, unless that was done: each signature stays in a public log forever."""
    attested = ["cosign", "verify-attestation", "--type=spdxjson", *_identity(environ), reference]
    if not _succeeds(["cosign", "verify", *_identity(environ), reference], access):
        _run(["cosign", "sign", "--yes", reference], access)
    if not _succeeds(attested, access):
        _run(["cosign", "attest", "--yes", "--type=spdxjson", f"--predicate={contents}", reference], access)


def verify(release: str, registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    """Image -> digest, if this repository's release workflow signed each image for this commit.

    Raises:
        PublishError: an image is missing, or is not signed by this workflow.
    """
    digests = {}
    with registry.login() as access:
        for image in IMAGES:
            there = registry.published(image, release)
            if there is None:
                raise PublishError(
                    f"{registry.reference(image)}:{release} is not there. Run the release's job `publish`."
                )
            digests[image] = there[0]
            reference = f"{registry.reference(image)}@{digests[image]}"
            _run(["cosign", "verify", *_identity(environ), reference], access)
            _run(["cosign", "verify-attestation", "--type=spdxjson", *_identity(environ), reference], access)
            print(f"{registry.reference(image)}:{release} is {digests[image]}, signed for {environ['GITHUB_SHA']}")
    return digests


def _identity(environ: Mapping[str, str]) -> list[str]:
    """Cosign's arguments for the signer: this repository's workflow, on this tag, at this commit."""
    workflow = f"{environ['GITHUB_REPOSITORY']}/.github/workflows/release.yml@{environ['GITHUB_REF']}"
    return [
        f"--certificate-identity=https://github.com/{workflow}",
        f"--certificate-github-workflow-sha={environ['GITHUB_SHA']}",
        f"--certificate-oidc-issuer={_ISSUER}",
    ]


def _succeeds(command: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False).returncode == 0


def _run(command: list[str], environment: Mapping[str, str] | None = None, *, given: str = "") -> str:
    done = subprocess.run(
        command, env=os.environ | dict(environment or {}), input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise PublishError(f"{' '.join(command[:3])}… ended with exit code {done.returncode}: {said}")
    return done.stdout


def main(arguments: list[str]) -> int:
    command, release, *folder = arguments
    if not RELEASE.fullmatch(release):
        print(f"{release!r} is no release. A release is a tag such as v1.2.0.", file=sys.stderr)
        return 1
    try:
        if command == "pack":
            pack(release, Path(folder[0]))
            return 0
        registry = Registry(session().client("ecr"), os.environ["RETRAIN_REGISTRY"], os.environ["RETRAIN_NAME"])
        if command == "push":
            push(release, Path(folder[0]), registry, os.environ)
        else:
            verify(release, registry, os.environ)
    except KeyError as error:
        print(
            f"{error} is not set. It is a variable of the GitHub environment: infra/release/README.md.", file=sys.stderr
        )
        return 1
    except (PublishError, WebIdentityError, BotoCoreError, ClientError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
