"""What moto's ECR lets pass and the real one refuses: an image without its layers, a wrong digest, another image under a tag, a short part.

`refuse()` changes moto's backend, in the process of account_standin.py. The exceptions are those of the ECR API's reference.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ecr import models

_SHORTEST_PART = 5 << 20
_LONGEST_PART = 20_971_520


class EcrRefusal(ServiceException):
    """A refusal of ECR, by its code and message. moto finds the service by the module of the exception."""

    __module__ = "moto.ecr.exceptions"


def put_image(
    backend: models.ECRBackend,
    repository_name: str,
    image_manifest: str,
    image_tag: str | None,
    image_manifest_mediatype: str | None = None,
    digest: str | None = None,
) -> models.Image:
    repository = backend.repositories[repository_name]
    found = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
    if digest not in (None, found):
        raise EcrRefusal("ImageDigestDoesNotMatchException", f"The image digest is {found}, not {digest}")
    document = json.loads(image_manifest)
    wanted = [blob["digest"] for blob in [*document["layers"], document["config"]]]
    if missing := [blob for blob in wanted if blob not in repository.layers]:
        raise EcrRefusal("LayersNotFoundException", f"The layers {missing} do not exist in {repository_name}")
    there = next((image for image in repository.images if image.get_image_digest() == found), None)
    tagged = next((image for image in repository.images if image_tag and image_tag in image.image_tags), None)
    if there and (image_tag is None or tagged is there):
        raise EcrRefusal("ImageAlreadyExistsException", f"{found} with tag {image_tag} already exists")
    if tagged and repository.is_tag_immutable():
        raise EcrRefusal(
            "ImageTagAlreadyExistsException", f"The tag {image_tag} already exists and cannot be overwritten"
        )
    if there is None:
        there = models.Image(
            backend.account_id, image_tag, image_manifest, repository_name, image_manifest_mediatype, found
        )
        repository.images.append(there)
    there.update_tag(image_tag)
    return there


original_part, original_complete = models.ECRBackend.upload_layer_part, models.ECRBackend.complete_layer_upload


def upload_layer_part(
    backend: models.ECRBackend, repository_name: str, upload_id: str, *rest: Any, **named: Any
) -> Any:
    upload = backend.repositories[repository_name].uploads.get(upload_id)
    part = named.get("layer_part_blob", rest[2] if len(rest) > 2 else b"")
    if len(part) > _LONGEST_PART:
        raise EcrRefusal("InvalidParameterException", f"A part has {_LONGEST_PART} bytes at most")
    if upload is not None:
        upload.sizes = [*getattr(upload, "sizes", []), len(part)]  # type: ignore[attr-defined]
    return original_part(backend, repository_name, upload_id, *rest, **named)


def complete_layer_upload(
    backend: models.ECRBackend, repository_name: str, upload_id: str, layer_digests: list[str], **named: Any
) -> Any:
    repository = backend.repositories[repository_name]
    upload = repository.uploads.get(upload_id)
    if upload is not None:
        sizes = getattr(upload, "sizes", [])
        found = f"sha256:{hashlib.sha256(bytes(upload.layer_parts)).hexdigest()}"
        if not sizes:
            raise EcrRefusal("EmptyUploadException", "The upload has no parts")
        if any(size < _SHORTEST_PART for size in sizes[:-1]):
            raise EcrRefusal("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size")
        if layer_digests != [found]:
            raise EcrRefusal("InvalidLayerException", f"The layer's digest is {found}, not {layer_digests}")
        if found in repository.layers:
            raise EcrRefusal("LayerAlreadyExistsException", f"The layer {found} already exists")
    return original_complete(backend, repository_name, upload_id, layer_digests, **named)


def refuse() -> None:
    """Make moto's ECR refuse what the real one refuses."""
    models.ECRBackend.put_image = put_image
    models.ECRBackend.upload_layer_part = upload_layer_part
    models.ECRBackend.complete_layer_upload = complete_layer_upload
