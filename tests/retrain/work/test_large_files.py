"""Files in Git LFS: which of a checkout's files are pointers, and with whose access the program is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Origin

from retrain.work import git, large_files
from retrain.work.errors import LargeFilesError
from retrain.work.mirrors import fetched
from retrain.work.origin import Origin as GitOrigin

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
KEY = "ssh -i /run/key"
OWN = GitOrigin("ssh://git@host/team/x.git", "team_git", {"GIT_SSH_COMMAND": KEY})


def checked_out(origin: Origin, files: dict[str, str], to: Path) -> tuple[Path, Path]:
    """A checkout of a commit with these files, and its mirror."""
    commit = origin.commit(files)
    mirror = fetched(origin.address, commit, to / "mirrors")
    git.checkout(mirror, commit, to / "checkout")
    return to / "checkout", mirror


def test_pointers_are_found_by_their_content_wherever_they_are(origin: Origin, tmp_path: Path) -> None:
    files = {
        "a b/größe.bin": POINTER,
        "extended": POINTER.replace("oid", "ext-0-foo sha256:1\noid"),
        "text.md": f"A pointer:\n{POINTER}",
        "short": POINTER.replace("a" * 64, "a" * 63),
        "long": POINTER + "x" * 2000,
        "empty": "",
    }
    checkout, _ = checked_out(origin, files, tmp_path)
    (checkout / "not committed").write_text(POINTER)
    found = large_files.pointers(checkout)
    assert [(each.path, each.digest, each.size) for each in found] == [
        (name, "a" * 64, 12345) for name in ("a b/größe.bin", "extended")
    ]
    assert [each.path for each in large_files.pointers(checkout, ["a b"])] == ["extended"]


@pytest.mark.parametrize(
    ("config", "access"),
    [
        ({}, KEY),
        ({".lfsconfig": "[lfs]\n\turl = ssh://git@host/team/x.git/info/lfs\n"}, KEY),
        ({".lfsconfig": "[lfs]\n\turl = ssh://git@other/team/x.git\n"}, ""),
        ({".lfsconfig": '[remote "origin"]\n\tlfsurl = https://host/team/x.git\n'}, ""),
    ],
)
def test_git_lfs_is_started_with_the_access_of_the_origin_only_for_its_own_server(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, str], access: str
) -> None:
    program = tmp_path / "bin" / "git-lfs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*:$GIT_SSH_COMMAND" > {tmp_path}/started\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    checkout, mirror = checked_out(origin, {"a.bin": POINTER, **config}, tmp_path)
    with pytest.raises(LargeFilesError, match=r"a\.bin is in Git LFS, and cannot be fetched"):
        large_files.provide(checkout, mirror, OWN)
    assert (tmp_path / "started").read_text() == f"fetch --include= --exclude= origin HEAD:{access}\n"
