"""One commit of an origin, fetched alone. Git and the repositories are real."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from retrain.errors import OriginError
from retrain.work import shallow_checkout
from retrain.work.origin import Origin

SECONDS = 60.0


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with one commit, a file of 200 kB that does not compress, a link and a tag."""
    folder = tmp_path / "origin"
    folder.mkdir()
    (folder / "large").write_bytes(random.Random(1).randbytes(200_000))  # noqa: S311 - any bytes will do
    (folder / "link").symlink_to("large")
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        run(folder, *command)
    run(folder, "tag", "-a", "v1.0.0", "-m", "x")
    return folder


def run(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=e", "-c", "user.email=e@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_an_annotated_tag_names_its_commit(origin: Path, tmp_path: Path) -> None:
    commit = run(origin, "rev-parse", "HEAD")
    known = shallow_checkout.references(Origin(str(origin)), cwd=tmp_path, timeout=SECONDS)
    assert known == {"HEAD": commit, "refs/heads/main": commit, "refs/tags/v1.0.0": commit}


def test_a_commit_is_checked_out_without_its_history_and_its_files_are_listed(origin: Path, tmp_path: Path) -> None:
    run(origin, "commit", "--quiet", "--allow-empty", "-m", "y")
    commit, to = run(origin, "rev-parse", "HEAD"), tmp_path / "to"
    entries = shallow_checkout.shallow_checkout(
        Origin(str(origin)), commit, commit, to, timeout=SECONDS, most_bytes=10**6
    )
    assert [(entry.path, entry.mode, entry.size) for entry in entries] == [
        ("large", "100644", 200_000),
        ("link", "120000", 5),
    ]
    assert (to / "large").stat().st_size == 200_000
    assert run(to, "rev-list", "--count", "HEAD") == "1"


def test_a_commit_over_the_limit_of_size_is_refused_and_not_checked_out(origin: Path, tmp_path: Path) -> None:
    commit, to = run(origin, "rev-parse", "HEAD"), tmp_path / "to"
    with pytest.raises(OriginError, match="larger than 0 MB"):
        shallow_checkout.shallow_checkout(Origin(str(origin)), commit, commit, to, timeout=SECONDS, most_bytes=100_000)
    assert not (to / "large").exists()


def test_a_commit_that_the_origin_does_not_have_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(OriginError, match=r"^git fetch 0{40} of .* failed \(fatal: .*not our ref"):
        shallow_checkout.shallow_checkout(
            Origin(str(origin)), "0" * 40, "0" * 40, tmp_path / "to", timeout=SECONDS, most_bytes=10**6
        )


def test_an_address_that_starts_a_program_is_refused_by_git_too(tmp_path: Path) -> None:
    with pytest.raises(OriginError, match="not allowed"):
        shallow_checkout.references(Origin(f"ext::sh -c 'touch {tmp_path}/started'"), cwd=tmp_path, timeout=SECONDS)
    assert not (tmp_path / "started").exists()


def test_an_address_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    with pytest.raises(OriginError):
        shallow_checkout.references(Origin(f"--upload-pack=touch {tmp_path}/started"), cwd=tmp_path, timeout=SECONDS)
    assert not (tmp_path / "started").exists()
