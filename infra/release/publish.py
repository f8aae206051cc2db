"""The images of a release: one job builds and scans them without any rights, another pushes, signs and tags exactly these.

    publish.py pack v1.2.0 FOLDER      save the built images in FOLDER, list their packages, scan the lists
    publish.py scan FOLDER             scan lists again, with today's database of vulnerabilities
    publish.py find v1.2.0             say whether the registry has the release already, signed: `published=true` or `false`
    publish.py push v1.2.0 FOLDER      push the images by digest, sign them, attest the lists; the tags come last
    publish.py verify v1.2.0           check the signatures of the registry's images of this tag

Reads RETRAIN_REGISTRY (…dkr.ecr.….amazonaws.com), RETRAIN_NAME, GITHUB_REPOSITORY, GITHUB_SHA, GITHUB_OUTPUT, and AWS_…
(web_identity.py). `pack` reads RETRAIN_PLATFORM. docker, syft and grype must be on the PATH for `pack`, cosign for the others.
A tag in the registry never changes and exists only once its images are signed: whatever interrupts `push`, it can be repeated, with
the same images or with new ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import contents
import image_layout
import signatures
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from contents import AttestationSizeError
from image_layout import Layout, LayoutError, Manifest
from registry import Registry, RegistryError
from retrain_release import RELEASE
from signatures import SignatureError
from web_identity import WebIdentityError, session

# The first is tagged first: its manifest names the others.
IMAGES = ("airflow", "worker", "mlflow")
PLATFORM = "linux/amd64"
_CONFIGURATION = Path(__file__).with_name("grype.yaml")


class PublishError(Exception):
    """A release's images were not packed, pushed or found; the message says which and why."""


def pack(release: str, folder: Path, platform: str = PLATFORM) -> dict[str, Manifest]:
    """Save the built images, list their packages and scan the lists; returns image -> manifest.

    Raises:
        PublishError: an image is missing or is for another machine, or has a known vulnerability that grype.yaml does not accept.
        LayoutError: the engine saved something else.
        AttestationSizeError: the public log would not take a list.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = {image: f"retrain/{image}:{release}" for image in IMAGES}
    saved = folder / "saved.tar"
    _run(["docker", "save", f"--output={saved}", *names.values()])
    made = image_layout.pack(saved, names, release, folder)
    saved.unlink()
    _checked(release, folder, platform)
    for image, name in names.items():
        listed = folder / f"{image}.full.json"
        # The files of packages are nine tenths of a list, and say nothing about versions.
        _run(
            ["syft", "scan", f"docker:{name}", f"--output=spdx-json={listed}"], {"SYFT_FILE_METADATA_SELECTION": "none"}
        )
        size = contents.write(json.loads(listed.read_text(encoding="utf-8")), folder / f"{image}.spdx.json")
        print(f"{image} is {made[image].digest}; its list is attested with {size:,} bytes", flush=True)
        listed.unlink()
    print(f"packed in {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()):,} bytes", flush=True)
    scan(folder)
    return made


def scan(folder: Path) -> None:
    """Scan every list of packages in `folder`, and write each result beside it.

    Raises:
        PublishError: a list has a known vulnerability that grype.yaml does not accept, or there is no list.
    """
    lists, refused = sorted(folder.glob("*.spdx.json")), []
    if not lists:
        raise PublishError(f"{folder} has no list of packages (*.spdx.json).")
    for listed in lists:
        image = listed.name.removesuffix(".spdx.json")
        report = folder / f"{image}.scan.txt"
        try:
            _run(["grype", f"sbom:{listed}", f"--config={_CONFIGURATION}", f"--file={report}"])
        except PublishError as error:
            refused.append(f"{image}: {error}")
        if report.exists():
            print(f"{image}\n{report.read_text(encoding='utf-8')}", flush=True)
    if refused:
        raise PublishError(
            "; ".join(refused) + f". Use newer versions, or write in {_CONFIGURATION.name} why it does not matter."
        )


def push(release: str, folder: Path, registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    """Push, sign and attest the packed images, then tag them; returns image -> digest.

    Nothing is pushed before everything was checked. Until the first tag the release does not exist, and untagged images expire.

    Raises:
        PublishError: the folder holds other images.
        LayoutError: an image was changed after the build.
        AttestationSizeError: the public log would not take a list.
        RegistryError: the tag has other images, or ECR refused one.
        SignatureError: an image was not signed.
    """
    made = _checked(release, folder, environ.get("RETRAIN_PLATFORM") or PLATFORM)
    for image in IMAGES:
        contents.check(folder / f"{image}.spdx.json")
    for image, manifest in made.items():
        there = registry.tagged(image, release)
        if there and there.digest != manifest.digest:
            raise RegistryError(
                f"{registry.reference(image)}:{release} is there already and is another image: {there.digest}, packed was "
                f"{manifest.digest}. A release never changes. If it was published, run the whole workflow again (it then only "
                "deploys); else release the commit under a new tag."
            )
    signer = signatures.identity(environ["GITHUB_REPOSITORY"], release)
    with registry.login() as access:
        for image, manifest in made.items():
            registry.push(image, manifest, Layout(folder))
            reference = registry.reference(image, manifest.digest)
            signatures.sign(reference, folder / f"{image}.spdx.json", _at(signer, environ), access)
            print(f"{reference} is pushed and signed", flush=True)
    for image, manifest in made.items():
        registry.tag(image, manifest, release)
        print(f"{registry.reference(image)}:{release} is {manifest.digest}", flush=True)
    return {image: manifest.digest for image, manifest in made.items()}


def find(release: str, registry: Registry, environ: Mapping[str, str]) -> dict[str, Manifest] | None:
    """Image -> manifest of a release that this repository's workflow published for this commit; None if the tag is free.

    Raises:
        PublishError: images have the tag that were not published by this workflow as one release.
        RegistryError: an image of the release is missing.
        SignatureError: an image is not signed by this workflow for this commit.
    """
    first = registry.tagged(IMAGES[0], release)
    tags = {image: found.digest for image in IMAGES[1:] if (found := registry.tagged(image, release))}
    if first is None:
        if tags:
            raise PublishError(
                f"{', '.join(tags)} have the tag {release} in {registry.host}/{registry.name}, and {IMAGES[0]} has not: this workflow "
                "did not push them. A tag never changes: release the commit under a new tag."
            )
        return None
    if first.release != release or set(first.others) != set(IMAGES[1:]):
        raise PublishError(
            f"{registry.reference(IMAGES[0])}:{release} was not pushed by this workflow: its manifest names the release "
            f"{first.release} with {sorted(first.others)}. A tag never changes: release the commit under a new tag."
        )
    if other := {image for image, digest in tags.items() if digest != first.others[image]}:
        raise PublishError(
            f"{', '.join(sorted(other))}:{release} is not the image that {IMAGES[0]}:{release} names. Somebody pushed it by hand: "
            "release the commit under a new tag."
        )
    published = {IMAGES[0]: first} | {image: registry.by_digest(image, first.others[image]) for image in IMAGES[1:]}
    signer = _at(signatures.identity(environ["GITHUB_REPOSITORY"], release), environ)
    with registry.login() as access:
        for image, manifest in published.items():
            signatures.verify(registry.reference(image, manifest.digest), signer, access)
    return published


def verify(release: str, registry: Registry, environ: Mapping[str, str]) -> dict[str, str]:
    """Image -> digest of a published release. Tags that an interrupted `push` had not set yet are set.

    Raises:
        PublishError: the release is not published; or as `find` raises.
        RegistryError: as `find` raises.
        SignatureError: as `find` raises.
    """
    found = find(release, registry, environ)
    if found is None:
        raise PublishError(
            f"{registry.reference(IMAGES[0])}:{release} is not there. Run the whole workflow of the tag again."
        )
    for image, manifest in found.items():
        registry.tag(image, manifest, release)
        print(f"{registry.reference(image)}:{release} is {manifest.digest}, signed for {environ['GITHUB_SHA']}")
    return {image: manifest.digest for image, manifest in found.items()}


def _checked(release: str, folder: Path, platform: str) -> dict[str, Manifest]:
    """Image -> manifest of the packed images, if they are the release's and run on the host's kind of machine."""
    layout = Layout(folder)
    made = layout.manifests()
    if tuple(made) != IMAGES or {manifest.release for manifest in made.values()} != {release}:
        held = {image: manifest.release for image, manifest in made.items()}
        raise PublishError(f"{folder} holds {held}, not {release} of {', '.join(IMAGES)}.")
    for image, manifest in made.items():
        if (found := layout.platform(manifest)) != platform:
            raise PublishError(
                f"{image} was built for {found}, the hosts run {platform}: every container would end with an exec format error. "
                f"Build with images.py --platform {platform}."
            )
    return made


def _at(signer: list[str], environ: Mapping[str, str]) -> list[str]:
    """The signer, and the commit for which it signed. The host does not know the commit; this repository's workflow does."""
    return [*signer, f"--certificate-github-workflow-sha={environ['GITHUB_SHA']}"]


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=os.environ | dict(environment or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise PublishError(f"{' '.join(command[:2])}… ended with exit code {done.returncode}: {said}")


def _of_account(command: str, release: str, folder: list[str], environ: Mapping[str, str]) -> None:
    ecr = session().client("ecr", config=Config(retries={"mode": "standard", "max_attempts": 10}))
    registry = Registry(ecr, environ["RETRAIN_REGISTRY"], environ["RETRAIN_NAME"])
    if command == "push":
        push(release, Path(folder[0]), registry, environ)
    elif command == "verify":
        verify(release, registry, environ)
    else:
        found = find(release, registry, environ)
        print(f"{release} is {'published and signed: it is not built again' if found else 'not published yet'}")
        with Path(environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
            output.write(f"published={'true' if found else 'false'}\n")


def main(arguments: list[str]) -> int:
    command, release, *folder = arguments
    try:
        if command == "scan":
            scan(Path(release))
            return 0
        if not RELEASE.fullmatch(release):
            raise PublishError(f"{release!r} is no release. A release is a tag such as v1.2.0.")
        if command == "pack":
            pack(release, Path(folder[0]), os.environ.get("RETRAIN_PLATFORM") or PLATFORM)
        else:
            _of_account(command, release, folder, os.environ)
    except KeyError as error:
        print(
            f"{error} is not set. It is a variable of the GitHub environment: infra/release/README.md.", file=sys.stderr
        )
        return 1
    except (
        PublishError,
        LayoutError,
        AttestationSizeError,
        RegistryError,
        SignatureError,
        WebIdentityError,
        BotoCoreError,
        ClientError,
    ) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
