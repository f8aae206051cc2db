"""The programs of others that a release runs are the pinned ones, or none."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from scanners import ScannerError, fetch, pins

PROGRAM = b"#!/bin/sh\necho it runs\n"


def archive(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "syft_linux_amd64.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        for name in ("README.md", "syft"):
            entry = tarfile.TarInfo(name)
            entry.size = len(PROGRAM)
            packed.addfile(entry, io.BytesIO(PROGRAM))
    return {"syft": {"url": path.as_uri(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}


def test_a_program_comes_out_of_its_archive_and_runs(tmp_path: Path) -> None:
    program = fetch("syft", tmp_path / "bin", archive(tmp_path))
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout == "it runs\n"


def test_other_bytes_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    known = archive(tmp_path)
    known["syft"]["sha256"] = "0" * 64
    with pytest.raises(ScannerError, match=r"Do not release with it"):
        fetch("syft", tmp_path / "bin", known)
    assert not (tmp_path / "bin").exists()


def test_a_program_that_is_not_pinned_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ScannerError, match="trivy is not pinned"):
        fetch("trivy", tmp_path, pins())


def test_every_pin_names_a_version_and_a_checksum() -> None:
    assert set(pins()) == {"cosign", "grype", "syft"}
    for pin in pins().values():
        assert re.search(r"/download/v\d+\.\d+\.\d+/", pin["url"])
        assert re.fullmatch(r"[0-9a-f]{64}", pin["sha256"])
