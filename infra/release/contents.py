"""The list of an image's packages (SPDX), in the form that is scanned and attested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# `cosign attest` sends the whole attestation to the public log, whose load balancer cuts off large requests without saying why. No limit is
# documented (sigstore/rekor #2808, #2915); the smallest known refusals had "a couple MiB" (ublue-os/bluefin #4272).
LARGEST_ATTESTATION = 1_500_000
_STATEMENT_BYTES = 4_000  # the statement around the list, signature and certificate


class AttestationSizeError(Exception):
    """The list of an image's packages is larger than the public log takes."""


def reduce(document: dict[str, Any]) -> dict[str, Any]:
    """The list with the packages and their licences only: no files, no tree of dependencies, no invented product names.

    syft guesses up to thirty product names (CPE) for a package. grype matches packages of an ecosystem by their package URL; only
    binaries, whose URL is `pkg:generic/…` or missing, are matched by product name. The tree is in the lock files.
    """
    packages = [_package(package) for package in document["packages"]]
    kept = {package["SPDXID"] for package in packages}
    relationships = [
        relationship
        for relationship in document.get("relationships", [])
        if relationship["relationshipType"] == "DESCRIBES" and relationship["relatedSpdxElement"] in kept
    ]
    rest = {name: value for name, value in document.items() if name not in {"files", "packages", "relationships"}}
    return rest | {"packages": packages, "relationships": relationships}


def _package(package: dict[str, Any]) -> dict[str, Any]:
    references = package.get("externalRefs", [])
    by_url = any(
        reference["referenceType"] == "purl" and not reference["referenceLocator"].startswith("pkg:generic/")
        for reference in references
    )
    kept = [reference for reference in references if not (by_url and reference["referenceType"].startswith("cpe"))]
    # Optional fields that say nothing, and the paths of the files from which syft knows a package.
    rest = {
        name: value
        for name, value in package.items()
        if name != "sourceInfo" and (value != "NOASSERTION" or name == "downloadLocation")
    }
    return rest | ({"externalRefs": kept} if references else {})


def write(document: dict[str, Any], path: Path, limit: int = LARGEST_ATTESTATION) -> int:
    """Write the reduced list; returns the size of its attestation, in bytes.

    Raises:
        AttestationSizeError: the public log would not take the attestation.
    """
    path.write_text(json.dumps(reduce(document), separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    return check(path, limit)


def check(path: Path, limit: int = LARGEST_ATTESTATION) -> int:
    """The size in bytes of the attestation that holds the list at `path`.

    Raises:
        AttestationSizeError: the public log would not take the attestation.
    """
    size = (path.stat().st_size + _STATEMENT_BYTES) * 4 // 3  # an envelope holds its statement in base64
    if size > limit:
        raise AttestationSizeError(
            f"{path.name} makes an attestation of {size:,} bytes, and the public log of signatures takes {limit:,} at most. Nothing was "
            "pushed. Look at what is long in the list (infra/release/contents.py reduces it), or take packages out of the image."
        )
    return size
