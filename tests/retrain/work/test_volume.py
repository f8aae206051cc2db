"""The space on the shared volume, on a small file system of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.errors import ConfigurationError, DiskFullError
from retrain.work import volume
from retrain.work.workspace import require_space

MB = 2**20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TRIED: no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, megabytes: int) -> None:
    (folder / f"{megabytes}").write_bytes(bytes(megabytes * MB))


def test_a_full_disk_has_no_space(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(volume.LIMIT, raising=False)
    assert volume.space(small, None) == volume.VolumeSpace(0, 16 * MB, 16 * MB)
    require_space(small, 8)
    fill(small, 12)
    assert volume.space(small, None).free == 4 * MB
    with pytest.raises(DiskFullError, match=f"{small} has 4 MB free, a run needs 8 MB. Nothing was written"):
        require_space(small, 8)


def test_a_limit_below_the_disk_s_size_counts_the_bytes_that_are_used(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(volume.LIMIT, "0.008388608")  # 8 MB
    require_space(small, 8)
    fill(small, 5)
    assert volume.space(small, 8 * MB) == volume.VolumeSpace(5 * MB, 3 * MB, 8 * MB)
    with pytest.raises(DiskFullError, match=r"3 MB free below RETRAIN_HOME_LIMIT_GB=0\.008388608, a run needs 4 MB"):
        require_space(small, 4)
    fill(small, 6)
    assert volume.space(small, 8 * MB).free == 0, "more than the limit is used"


def test_a_limit_above_the_disk_s_size_does_not_count(small: Path) -> None:
    fill(small, 12)
    assert volume.space(small, 10**12) == volume.VolumeSpace(12 * MB, 4 * MB, 16 * MB)


def test_the_space_of_a_folder_that_does_not_exist_yet_is_that_of_its_disk(small: Path) -> None:
    assert volume.space(small / "retrain" / "alerts", None).free == 16 * MB


@pytest.mark.parametrize("text", ["0", "-5", "0.0000000001", "much", "500 GB", "nan", "inf"])
def test_a_limit_that_is_no_number_above_zero_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"RETRAIN_HOME_LIMIT_GB={text!r}"):
        volume.configured_limit({volume.LIMIT: text})


def test_the_limit_is_in_gigabytes_and_may_be_left_out() -> None:
    assert volume.configured_limit({volume.LIMIT: "1.5"}) == 1_500_000_000
    assert volume.configured_limit({volume.LIMIT: ""}) is None
    assert volume.configured_limit({}) is None


def test_a_write_that_finds_no_space_is_named_and_any_other_failure_stays() -> None:
    with (
        pytest.raises(DiskFullError, match=r"The disk of /srv/raw filled up\. Free some space"),
        volume.named_if_full(Path("/srv/raw")),
    ):
        Path("/dev/full").write_bytes(b"x")
    with pytest.raises(FileNotFoundError), volume.named_if_full(Path("/srv/raw")):
        Path("/nowhere/at/all").read_bytes()
