"""The public images on which the deployment is built or which it runs, each pinned to a digest.

    base_images.py check                 does each tag still name the pinned image?
    base_images.py update                pin each tag to the image that it names now
    base_images.py newest PYTHON_IMAGE   print the image that this variable's tag names now

There is no separate list: an image is named where it is used, in a form that Dependabot reads: a `FROM` line of the
Dockerfile, or the default of a variable in the compose file. The image of a tag is built again whenever Debian has fixes.

Exit codes: 0 all pins are current, 1 an image is not pinned or its tag is another image now, 2 a registry did not answer.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (ROOT / "infra" / "docker" / "Dockerfile", ROOT / "docker-compose.airflow.yml")
_IMAGE = r"(?P<name>[a-z0-9][a-z0-9./_-]*):(?P<tag>[\w][\w.-]*)(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
# A stage's name has no tag, so `FROM airflow AS worker` is no public image; nor is a default image of our own (retrain/…).
_USE = re.compile(rf"^(?:FROM |\s+image: \$\{{(?P<variable>[A-Z_]+):-)(?!retrain/){_IMAGE}", re.MULTILINE)
_HUB = "registry-1.docker.io"
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_UNAUTHORIZED = 401
_SECONDS = 30


class BaseImageError(Exception):
    """A registry did not say which image a tag is."""


@dataclass(frozen=True)
class BaseImage:
    """An image as it is pinned: `digest` is None if it is not."""

    name: str
    tag: str
    digest: str | None
    variable: str  # replaces it: PYTHON_IMAGE, POSTGRES_IMAGE, …

    @property
    def reference(self) -> str:
        """The name that Docker takes."""
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


def base_images(files: tuple[Path, ...] = FILES) -> list[BaseImage]:
    """Every public image of the Dockerfile and of the compose file, in their order; one that two services use comes once."""
    found = (
        BaseImage(use["name"], use["tag"], use["digest"], use["variable"] or f"{use['name'].upper()}_IMAGE")
        for path in files
        for use in _USE.finditer(path.read_text(encoding="utf-8"))
    )
    return list(dict.fromkeys(found))


def current(image: BaseImage, server: str = "") -> str:
    """The digest that the tag has in its registry now. `server` replaces the registry's address.

    Raises:
        BaseImageError: the registry refused, or did not answer.
    """
    first, _, rest = image.name.partition("/")
    registry, repository = (first, rest) if "." in first and rest else (_HUB, image.name)
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    url = f"{server or f'https://{registry}'}/v2/{repository}/manifests/{image.tag}"
    headers = {"Accept": ", ".join(_KINDS)}
    try:
        try:
            return _digest(url, headers)
        except urllib.error.HTTPError as error:
            if error.code != _UNAUTHORIZED:
                raise
            # Registries answer so to a reader without an account too, and say where it gets a token.
            token = _token(error.headers.get("WWW-Authenticate", ""))
            return _digest(url, headers | {"Authorization": f"Bearer {token}"})
    except (OSError, ValueError, KeyError) as error:
        raise BaseImageError(
            f"{registry} did not say which image {image.name}:{image.tag} is ({error}). Is the tag right? Then run this again."
        ) from error


def _digest(url: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(url, method="HEAD", headers=headers)  # noqa: S310 - a registry's address
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        digest = str(answer.headers["Docker-Content-Digest"])
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{digest!r} is no digest")
    return digest


def _token(challenge: str) -> str:
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm")
    with urllib.request.urlopen(f"{realm}?{urllib.parse.urlencode(asked)}", timeout=_SECONDS) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


def update(files: tuple[Path, ...], digests: dict[str, str]) -> None:
    """Write the digests, by the images' `name:tag`, into the files."""
    for path in files:
        text = path.read_text(encoding="utf-8")

        def pinned(use: re.Match[str]) -> str:
            return f"{use[0].partition('@')[0]}@{digests[use['name'] + ':' + use['tag']]}"

        path.write_text(_USE.sub(pinned, text), encoding="utf-8")


def main(
    arguments: list[str], files: tuple[Path, ...] = FILES, server: str = "", say: Callable[[str], None] = print
) -> int:
    """Check, update or print the pins; returns the exit code."""
    command, *variables = arguments
    images = [image for image in base_images(files) if not variables or image.variable in variables]
    try:
        digests = {f"{image.name}:{image.tag}": current(image, server) for image in images}
    except BaseImageError as error:
        say(str(error))
        return 2
    if command == "newest":
        for image in images:
            say(f"{image.name}:{image.tag}@{digests[f'{image.name}:{image.tag}']}")
        return 0
    other = [image for image in images if digests[f"{image.name}:{image.tag}"] != image.digest]
    for image in images:
        now = digests[f"{image.name}:{image.tag}"]
        state = "current" if image not in other else f"pinned is {image.digest or 'nothing'}"
        say(f"{image.name}:{image.tag} is {now}, {state}")
    if command == "update":
        update(files, digests)
        return 0
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
