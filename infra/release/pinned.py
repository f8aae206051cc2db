"""Download third-party programs whose SHA-256 is pinned in pinned.toml: `pinned.py FOLDER syft grype`."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

PINS = Path(__file__).with_name("pinned.toml")
_LARGEST = 500_000_000


class PinnedError(Exception):
    """A program was not downloaded, or its bytes are not the pinned ones."""


def pins(path: Path = PINS) -> dict[str, dict[str, str]]:
    """Program name -> its `url` and `sha256`."""
    found: dict[str, dict[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return found


def fetch(name: str, folder: Path, known: Mapping[str, Mapping[str, str]]) -> Path:
    """Download the program `name` to `folder`, as an executable, if its bytes are the pinned ones.

    Raises:
        PinnedError: an unknown name, no answer, or other bytes. Nothing is written then.
    """
    if name not in known:
        raise PinnedError(f"{name} is not pinned. {PINS.name} has {', '.join(sorted(known))}.")
    url, pinned = known[name]["url"], known[name]["sha256"]
    try:
        with urllib.request.urlopen(url, timeout=300) as answer:  # noqa: S310 - the address is pinned, and so are the bytes
            content: bytes = answer.read(_LARGEST)
    except OSError as error:
        raise PinnedError(f"{url} was not downloaded: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != pinned:
        raise PinnedError(
            f"{url} has the SHA-256 {found}, pinned is {pinned}. It was replaced or cut short. Do not release with it; "
            f"compare with the publisher's signed checksums before you change {PINS.name}."
        )
    if url.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = archive.extractfile(name)
            content = member.read() if member else b""
    elif url.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            content = packed.read(name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    target.write_bytes(content)
    target.chmod(0o755)
    return target


def main(arguments: list[str]) -> int:
    folder, *names = arguments
    try:
        for name in names:
            print(fetch(name, Path(folder), pins()))
    except PinnedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
