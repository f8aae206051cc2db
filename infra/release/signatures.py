"""Signatures of a release's images: this repository's release workflow signs them without a key, by its identity (cosign)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = ".github/workflows/release.yml"
_KIND = "--type=spdxjson"


class SignatureError(Exception):
    """An image was not signed, or its signature is not that of this repository's release workflow."""


def identity(repository: str, release: str) -> list[str]:
    """Cosign's arguments for the signer of a release: the workflow of this repository, on this tag. The host checks the same."""
    return [
        f"--certificate-identity=https://github.com/{repository}/{WORKFLOW}@refs/tags/{release}",
        f"--certificate-oidc-issuer={ISSUER}",
    ]


def verify(reference: str, signer: list[str], access: Mapping[str, str]) -> None:
    """Check the signature and the attested list of an image.

    Raises:
        SignatureError: one of them is missing or is another signer's, or cosign could not check it.
    """
    _run(["cosign", "verify", *signer, reference], access)
    _run(["cosign", "verify-attestation", _KIND, *signer, reference], access)


def sign(reference: str, contents: Path, signer: list[str], access: Mapping[str, str]) -> None:
    """Sign an image and attest its list, unless that was done: each signature stays in a public log for ever.

    Raises:
        SignatureError: cosign failed.
    """
    if not _succeeds(["cosign", "verify", *signer, reference], access):
        _run(["cosign", "sign", "--yes", reference], access)
    if not _succeeds(["cosign", "verify-attestation", _KIND, *signer, reference], access):
        _run(["cosign", "attest", "--yes", _KIND, f"--predicate={contents}", reference], access)


def _succeeds(command: list[str], access: Mapping[str, str]) -> bool:
    return subprocess.run(command, env=os.environ | dict(access), capture_output=True, check=False).returncode == 0


def _run(command: list[str], access: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=os.environ | dict(access), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise SignatureError(f"{' '.join(command[:2])} of {command[-1]} ended with exit code {done.returncode}: {said}")
