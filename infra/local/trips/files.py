"""Files that are compared by content."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path


def digest(path: Path, algorithm: str) -> str:
    """Return the checksum of a file in hex; `algorithm` is a name that hashlib knows, such as `sha256`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def write_if_changed(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, unless the file already holds it."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as stream:
        stream.write(content)
    Path(stream.name).chmod(0o644)
    Path(stream.name).replace(path)
