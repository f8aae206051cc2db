"""Which image a release's tag names, and whether the expected signer signed it: decided before anything of the image runs.

The tag is resolved to a digest once. The signature is of the digest, the image is pulled by digest and runs by digest, so a tag that
moves in between changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_shape import is_unprivileged
from host_errors import ProgramFailedError, RefusedServiceError, SettingError, UnsignedImageError
from host_program import run

_ISSUER = "https://token.actions.githubusercontent.com"
_VERIFY_SECONDS = 120
_PULL_SECONDS = 900


@dataclass(frozen=True)
class Signer:
    """Who must have signed a release: the release workflow of a GitHub repository, the owner of a key, or nobody.

    `named` is the setting: `github:owner/name`, `key`, or `none`, with which images are started unsigned.
    """

    named: str
    key: Path

    @classmethod
    def parsed(cls, named: str, key: Path) -> Signer:
        """The signer that a setting names.

        Raises:
            SettingError: the setting is none of the three.
        """
        if not re.fullmatch(r"github:[\w.-]+/[\w.-]+|key|none", named):
            raise SettingError(
                f"RETRAIN_SIGNER is {named!r}. It is `github:owner/name`, `key` or `none`: set release_signer and apply."
            )
        if named == "key" and not key.exists():
            raise SettingError(
                f"RETRAIN_SIGNER is `key`, but there is no {key}. Run retrain-settings, then this again."
            )
        return cls(named, key)

    @property
    def identity(self) -> str:
        """How the signer is noted beside a verified release: another key is another signer."""
        return f"key {self.key.read_text(encoding='utf-8').strip()}" if self.named == "key" else self.named

    def arguments(self, release: str) -> list[str]:
        """Cosign's arguments for the signer of a release; empty if nobody signs."""
        if self.named == "none":
            return []
        if self.named == "key":
            return [f"--key={self.key}"]
        repository = self.named.removeprefix("github:")
        workflow = f"https://github.com/{repository}/.github/workflows/release.yml@refs/tags/{release}"
        return [f"--certificate-identity={workflow}", f"--certificate-oidc-issuer={_ISSUER}"]


def verify(reference: str, release: str, signer: Signer, access: Mapping[str, str]) -> None:
    """Check that the signer signed the image. `access` are the variables with which cosign reaches the registry.

    Raises:
        UnsignedImageError: there is no such signature, or the signer's log or keys cannot be reached.
    """
    arguments = signer.arguments(release)
    if not arguments:
        return
    try:
        run(["cosign", "verify", "--output=json", *arguments, reference], seconds=_VERIFY_SECONDS, variables=access)
    except ProgramFailedError as error:
        wanted = "the key in release.pub" if signer.named == "key" else arguments[0].partition("=")[2]
        raise UnsignedImageError(
            f"{reference} of {release} is not started: no signature of {wanted} was verified ({error}). "
            "Release it with the workflow, or look in the registry for an image that somebody else pushed."
        ) from error


def is_here(reference: str) -> bool:
    """True if the engine has the image with this digest."""
    try:
        run(["docker", "image", "inspect", "--format={{.Id}}", reference])
    except ProgramFailedError:
        return False
    return True


def require_user(reference: str) -> None:
    """Check that an image of ours has a user of its own: its services leave the user to it.

    Raises:
        RefusedServiceError: its processes would be root's, or could be.
    """
    user = run(["docker", "image", "inspect", "--format={{.Config.User}}", reference]).strip()
    if not is_unprivileged(user):
        raise RefusedServiceError(
            f"{reference} would run as root, or as a name that may be root (user {user!r}). Give its Dockerfile a user's number, in a new release."
        )


def pull(reference: str, access: Mapping[str, str]) -> None:
    run(["docker", "pull", "--quiet", reference], seconds=_PULL_SECONDS, variables=access)
