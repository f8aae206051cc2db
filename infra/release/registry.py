"""A deployment's repositories in ECR: images are pushed by digest, without a tag, and get their tag at the end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from image_layout import MANIFEST, Layout, Manifest

_UPLOADS = 3  # a part that arrived although its answer was lost makes ECR refuse the rest of that upload
_MANIFESTS = [
    MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
]


class RegistryError(Exception):
    """ECR has another image than expected, or did not take one; the message says which."""


@dataclass(frozen=True)
class Registry:
    """The repositories `<name>/<image>`. `ecr` is a boto3 client."""

    ecr: Any
    host: str
    name: str

    def reference(self, image: str, digest: str = "") -> str:
        """The name of an image's repository, with the digest if there is one."""
        return f"{self.host}/{self.name}/{image}{f'@{digest}' if digest else ''}"

    def tagged(self, image: str, release: str) -> Manifest | None:
        """The manifest under a release's tag; None if the tag is free.

        Raises:
            RegistryError: ECR answered with another failure than "not found", or with another form of the image.
        """
        return self._manifest(image, {"imageTag": release})

    def push(self, image: str, manifest: Manifest, layout: Layout) -> None:
        """Push an image by its digest, without a tag. What ECR has already is not sent again.

        Raises:
            RegistryError: ECR refused a layer or the image.
        """
        if self._manifest(image, {"imageDigest": manifest.digest}):
            return
        repository, blobs = f"{self.name}/{image}", list(manifest.blobs)
        # At most 100 digests a request.
        for begin in range(0, len(blobs), 100):
            known = self.ecr.batch_check_layer_availability(
                repositoryName=repository, layerDigests=blobs[begin : begin + 100]
            )
            there = {layer["layerDigest"] for layer in known["layers"] if layer["layerAvailability"] == "AVAILABLE"}
            for digest in dict.fromkeys(blobs[begin : begin + 100]):
                if digest not in there:
                    self._upload(repository, digest, layout.blob(digest))
        self._put(image, manifest, {})

    def tag(self, image: str, manifest: Manifest, release: str) -> None:
        """Give a pushed image its tag. A tag that it has already is no error.

        Raises:
            RegistryError: the tag is another image's.
        """
        there = self.tagged(image, release)
        if there is None:
            self._put(image, manifest, {"imageTag": release})
        elif there.digest != manifest.digest:
            raise RegistryError(
                f"{self.reference(image)}:{release} is there already and is another image: {there.digest}, ours is "
                f"{manifest.digest}. A release never changes: release the commit under a new tag."
            )

    def by_digest(self, image: str, digest: str) -> Manifest:
        """The manifest of a digest.

        Raises:
            RegistryError: ECR does not have it.
        """
        found = self._manifest(image, {"imageDigest": digest})
        if found is None:
            raise RegistryError(
                f"{self.reference(image, digest)} belongs to the release and is missing: it was removed from ECR. "
                "Release the commit under a new tag."
            )
        return found

    @contextmanager
    def login(self) -> Iterator[Mapping[str, str]]:
        """Variables that give cosign access to the registry, until the context ends. ECR's tokens live for 12 hours."""
        granted = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        with tempfile.TemporaryDirectory() as folder:
            settings = {"auths": {self.host: {"auth": granted}}}
            (Path(folder) / "config.json").write_text(json.dumps(settings), encoding="utf-8")
            yield {"DOCKER_CONFIG": folder}

    def _manifest(self, image: str, wanted: dict[str, str]) -> Manifest | None:
        answer = self.ecr.batch_get_image(
            repositoryName=f"{self.name}/{image}", imageIds=[wanted], acceptedMediaTypes=_MANIFESTS
        )
        if answer["images"]:
            found = answer["images"][0]
            manifest = Manifest(str(found["imageManifest"]).encode())
            if manifest.digest != found["imageId"]["imageDigest"]:
                raise RegistryError(
                    f"ECR answered with another form of {image} {wanted} ({manifest.digest}) than it keeps "
                    f"({found['imageId']['imageDigest']}): it was not pushed as an OCI image. Release the commit under a new tag."
                )
            return manifest
        if {failure.get("failureCode") for failure in answer.get("failures", [])} - {"ImageNotFound"}:
            raise RegistryError(
                f"ECR did not say whether {image} {wanted} exists: {answer['failures']}. Run this again."
            )
        return None

    def _put(self, image: str, manifest: Manifest, tag: dict[str, str]) -> None:
        try:
            self.ecr.put_image(
                repositoryName=f"{self.name}/{image}",
                imageManifest=manifest.content.decode(),
                imageManifestMediaType=MANIFEST,
                imageDigest=manifest.digest,
                **tag,
            )
        except ClientError as error:
            # Another run of the same job was faster, with the same image.
            if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
                raise RegistryError(
                    f"ECR did not take {self.reference(image, manifest.digest)} {tag}: {error}"
                ) from error

    def _upload(self, repository: str, digest: str, path: Path) -> None:
        for left in reversed(range(_UPLOADS)):
            try:
                self._send(repository, digest, path)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "LayerAlreadyExistsException":
                    return
                if code not in {"InvalidLayerPartException", "UploadNotFoundException"} or not left:
                    raise RegistryError(f"ECR did not take the layer {digest} of {repository}: {error}") from error
            else:
                return

    def _send(self, repository: str, digest: str, path: Path) -> None:
        upload = self.ecr.initiate_layer_upload(repositoryName=repository)
        first = 0
        with path.open("rb") as content:
            while part := content.read(int(upload["partSize"])):
                self.ecr.upload_layer_part(
                    repositoryName=repository,
                    uploadId=upload["uploadId"],
                    partFirstByte=first,
                    partLastByte=first + len(part) - 1,
                    layerPartBlob=part,
                )
                first += len(part)
        self.ecr.complete_layer_upload(repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[digest])
