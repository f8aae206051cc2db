"""The three images of a release on this host: verified, by digest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from host_errors import ProgramFailedError, RegistryError
from host_program import run
from host_settings import IMAGES, DeploySettings
from image_trust import is_here, pull, verify
from registry_digest import digest_of

_NOTE = "images.json"


@dataclass(frozen=True)
class ReleaseImages:
    """References of a release's images by digest, and who signed them."""

    signer: str
    airflow: str
    worker: str
    mlflow: str

    @property
    def references(self) -> tuple[str, str, str]:
        return self.airflow, self.worker, self.mlflow

    @classmethod
    def noted(cls, folder: Path) -> ReleaseImages | None:
        """The images of a release that was verified on this host; None if none was."""
        path = folder / _NOTE
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def note(self, folder: Path) -> None:
        draft = folder / f"{_NOTE}.new"
        draft.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        draft.replace(folder / _NOTE)


def provide(release: str, settings: DeploySettings, say: Callable[[str], None]) -> ReleaseImages:
    """The release's images, verified and on this host. Neither the registry nor the signer's log is asked for a release that is here.

    Raises:
        UnsignedImageError: one is not signed by the signer of the settings.
        RegistryError: the registry does not answer, or has no such release.
    """
    known = ReleaseImages.noted(settings.folders.releases / release)
    if known and known.signer == settings.signer.identity and all(map(is_here, known.references)):
        return known
    if settings.signer.named == "none":
        say('release_signer is "none": the images are started without a signature.')
    with _login(settings) as (password, access):
        found = {}
        for image in IMAGES:
            name = f"{settings.image_prefix}/{image}"
            found[image] = f"{name}@{digest_of(name, release, password)}"
            verify(found[image], release, settings.signer, access)
            say(f"{image}:{release} is {found[image].partition('@')[2]}, signer {settings.signer.named}")
        for reference in found.values():
            pull(reference, access)
    return ReleaseImages(signer=settings.signer.identity, **found)


@contextmanager
def _login(settings: DeploySettings) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The registry's password, and the variables with which docker and cosign reach it until the context ends."""
    try:
        password = run(["aws", "ecr", "get-login-password", f"--region={settings.region}"]).strip()
        with tempfile.TemporaryDirectory() as folder:
            access = {"DOCKER_CONFIG": folder, "TUF_ROOT": str(settings.folders.place / "sigstore")}
            login = ["docker", "login", "--username=AWS", "--password-stdin", settings.registry]
            run(login, variables=access, given=password)
            yield password, access
    except ProgramFailedError as error:
        raise RegistryError(
            f"The images are not on this host, and {settings.registry} cannot be asked for them: {error}"
        ) from error
