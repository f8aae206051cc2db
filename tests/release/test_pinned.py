"""A third-party program runs in a release only if its bytes are the pinned ones."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from pinned import PinnedError, fetch, pins

PROGRAM = b"#!/bin/sh\necho it runs\n"


def archive(folder: Path, kind: str = "tar.gz") -> dict[str, dict[str, str]]:
    path = folder / f"syft_linux_amd64.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("syft", PROGRAM)
    elif kind == "tar.gz":
        with tarfile.open(path, "w:gz") as tarred:
            for name in ("README.md", "syft"):
                entry = tarfile.TarInfo(name)
                entry.size = len(PROGRAM)
                tarred.addfile(entry, io.BytesIO(PROGRAM))
    else:
        path.write_bytes(PROGRAM)
    return {"syft": {"url": path.as_uri(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "bin"])
def test_a_program_comes_out_of_its_archive_and_runs(tmp_path: Path, kind: str) -> None:
    program = fetch("syft", tmp_path / "bin", archive(tmp_path, kind))
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout == "it runs\n"


def test_other_bytes_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    known = archive(tmp_path)
    known["syft"]["sha256"] = "0" * 64
    with pytest.raises(PinnedError, match=r"Do not release with it"):
        fetch("syft", tmp_path / "bin", known)
    assert not (tmp_path / "bin").exists()


def test_a_program_that_is_not_pinned_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(PinnedError, match="trivy is not pinned"):
        fetch("trivy", tmp_path, pins())


def test_every_pin_names_a_version_and_a_checksum() -> None:
    assert set(pins()) == {"cosign", "grype", "syft", "terraform"}
    for pin in pins().values():
        assert re.search(r"/v?\d+\.\d+\.\d+/", pin["url"])
        assert re.fullmatch(r"[0-9a-f]{64}", pin["sha256"])
