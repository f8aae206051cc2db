"""Checkouts with their submodules and their files in Git LFS, from servers that refuse others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import git_server
import pytest
from git_server import GitServer
from team_origin import Origin as Team
from team_origin import isolated_git

from retrain.airflow import git_connection
from retrain.deployment.sections import Repository
from retrain.work import git, large_files
from retrain.work.errors import LargeFilesError, LargeFilesRefusedError, SubmoduleError, SubmoduleRefusedError
from retrain.work.mirrors import fetched
from retrain.work.whole_checkout import whole_checkout

LOGIN = "deploy:t0ken-of-this-test"
needs_lfs = pytest.mark.skipif(
    shutil.which("git-lfs") is None, reason="NOT TESTED: Git LFS, because git-lfs is not on the PATH. Debian: apt-get install git-lfs"
)  # fmt: skip


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    isolated_git(tmp_path / "home", monkeypatch)
    monkeypatch.setenv(
        "AIRFLOW_CONN_TEAM_GIT",
        json.dumps({"conn_type": "http", "login": "deploy", "password": LOGIN.partition(":")[2]}),
    )
    return Team.create(tmp_path / "srv", {"dvc.yaml": "stages: {}\n"})


@pytest.fixture
def server(team: Team) -> Iterator[GitServer]:
    with git_server.served(team.path.parent, LOGIN) as found:
        yield found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[GitServer]:
    """Another team's server, which everybody may read."""
    (tmp_path / "elsewhere").mkdir()
    with git_server.served(tmp_path / "elsewhere") as found:
        yield found


def library(folder: Path, name: str, files: Mapping[str, str | None]) -> tuple[Team, str]:
    """A repository beside others, with its commit."""
    scratch = folder.parent / f"clones-{name}"
    made = Team.create(scratch)
    commit = made.release("v1.0.0", files)
    folder.mkdir(exist_ok=True)
    made.path.rename(folder / f"{name}.git")
    return made, commit


def release(team: Team, submodules: Mapping[str, tuple[str, str]], files: Mapping[str, str] | None = None) -> str:
    """A release of the team with submodules: an address and a commit by path."""
    text = "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, (url, _) in submodules.items())
    (team.clone / ".gitmodules").write_text(text)
    for path, (_, commit) in submodules.items():
        team.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        (team.clone / path).mkdir(parents=True, exist_ok=True)
    tag = f"v1.{len(team.git('tag').split())}.0"
    for name, content in {"dvc.yaml": "stages: {}\n", **(files or {})}.items():
        (team.clone / name).parent.mkdir(parents=True, exist_ok=True)
        (team.clone / name).write_text(content)
        team.git("add", name)
    team.git("add", ".gitmodules")
    team.git("commit", "--quiet", "-m", tag)
    team.git("tag", tag)
    team.git("push", "--quiet", "origin", f"refs/tags/{tag}")
    return team.git("rev-parse", "HEAD")


def check_out(
    server: GitServer, commit: str, to: Path, *, standalone: bool = False, laid: tuple[str, ...] = ()
) -> Path:
    repository = Repository(url=f"{server.url}/origin.git", connection="team_git")
    with git_connection.opened(repository) as origin:
        mirror = fetched(origin, commit, to.parent / "mirrors")
        whole_checkout(mirror, commit, to, origin, standalone=standalone, laid=laid)
    return to


# --- submodules --------------------------------------------------------------------------------------------------------------


def test_submodules_are_checked_out_at_their_pinned_commits_deep_down(
    team: Team, server: GitServer, elsewhere: GitServer, tmp_path: Path
) -> None:
    inner, pinned = library(elsewhere.root, "inner", {"inner.txt": "pinned"})
    _, commit = library(
        server.root,
        "lib",
        {"lib.py": "x = 1\n"},
    )
    middle = Team.create(tmp_path / "middle")
    of_middle = release(middle, {"deep/inner": (f"{elsewhere.url}/inner.git", pinned)}, {"middle.py": "y = 2\n"})
    middle.path.rename(server.root / "middle.git")
    assert inner.clone.is_dir()
    top = release(team, {"libs/lib": ("../lib.git", commit), "middle": ("../middle.git", of_middle)})
    found = check_out(server, top, tmp_path / "checkout")
    assert (found / "libs/lib/lib.py").read_text() == "x = 1\n"
    assert (found / "middle/deep/inner/inner.txt").read_text() == "pinned"
    modes = git.committed_files(found)
    assert modes["libs/lib"] == "160000"
    assert {"libs/lib/lib.py", "middle/middle.py", "middle/deep/inner/inner.txt"} <= modes.keys()
    assert server.logins == {LOGIN}
    assert elsewhere.asked
    assert elsewhere.logins == set()


def test_a_submodule_is_fetched_once_into_a_mirror_of_its_own(team: Team, server: GitServer, tmp_path: Path) -> None:
    _, commit = library(server.root, "lib", {"lib.py": "x = 1\n"})
    top = release(team, {"one": ("../lib.git", commit), "two": (f"{server.url}/lib.git", commit)})
    check_out(server, top, tmp_path / "checkout")
    asked = len(server.asked)
    check_out(server, top, tmp_path / "again")
    assert len(server.asked) == asked
    assert len(list((tmp_path / "mirrors").glob("*.git"))) == 2


def test_a_standalone_checkout_needs_no_mirror_for_its_submodules(
    team: Team, server: GitServer, tmp_path: Path
) -> None:
    _, commit = library(server.root, "lib", {"lib.py": "x = 1\n"})
    top = release(team, {"lib": ("../lib.git", commit)})
    found = check_out(server, top, tmp_path / "checkout", standalone=True)
    shutil.rmtree(tmp_path / "mirrors")
    for place in (found, found / "lib"):
        subprocess.run(["git", "fsck", "--strict"], cwd=place, check=True, capture_output=True)


def test_a_submodule_that_cannot_be_fetched_is_named_with_its_address(
    team: Team, server: GitServer, elsewhere: GitServer, tmp_path: Path
) -> None:
    elsewhere.login = "someone:else"
    top = release(team, {"libs/gone": (f"{elsewhere.url}/gone.git", "a" * 40)})
    with pytest.raises(
        SubmoduleError, match=rf"submodule libs/gone cannot .* of {elsewhere.url}/gone\.git\..*was refused"
    ) as failed:
        check_out(server, top, tmp_path / "checkout")  # fmt: skip
    assert "update = none" in str(failed.value)
    assert elsewhere.logins == set()
    _, commit = library(server.root, "lib", {"lib.py": "x = 1\n"})
    lost = release(team, {"libs/lib": ("../lib.git", "b" * 40)})
    assert commit
    with pytest.raises(SubmoduleError, match="libs/lib cannot be checked out at bbbbbbbbbbbb"):
        check_out(server, lost, tmp_path / "other")


def test_submodules_without_end_are_refused(team: Team, server: GitServer, tmp_path: Path) -> None:
    _, commit = library(server.root, "lib", {"lib.py": "x = 1\n"})
    top = release(team, {f"many/{number}": ("../lib.git", commit) for number in range(101)})
    with pytest.raises(SubmoduleRefusedError, match="one too many: a run fetches 100 at most"):
        check_out(server, top, tmp_path / "checkout")


# --- Git LFS -----------------------------------------------------------------------------------------------------------------


@needs_lfs
def test_a_file_in_git_lfs_is_fetched_once_and_verified(team: Team, server: GitServer, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    pointer = server.keep(content)
    attributes = "data/** filter=lfs diff=lfs merge=lfs -text\n"
    top = team.release("v1.0.0", {".gitattributes": attributes, "data/a.bin": pointer, "data/plain": "no pointer"})
    found = check_out(server, top, tmp_path / "checkout")
    assert (found / "data/a.bin").read_bytes() == content
    assert (found / "data/plain").read_text() == "no pointer"
    assert server.logins == {LOGIN}
    standalone = check_out(server, top, tmp_path / "standalone", standalone=True)
    assert (standalone / "data/a.bin").read_bytes() == content
    assert server.downloads() == 1


@needs_lfs
def test_files_in_git_lfs_of_a_submodule_come_from_its_own_server(
    team: Team, server: GitServer, elsewhere: GitServer, tmp_path: Path
) -> None:
    pointer = elsewhere.keep(b"weights")
    _, commit = library(elsewhere.root, "lib", {"weights": pointer, ".lfsconfig": "[lfs]\n\tfetchexclude = *\n"})
    top = release(team, {"lib": (f"{elsewhere.url}/lib.git", commit)})
    found = check_out(server, top, tmp_path / "checkout")
    assert (found / "lib/weights").read_bytes() == b"weights"
    assert elsewhere.logins == set()


@needs_lfs
def test_a_large_file_with_other_content_is_refused_and_not_kept(team: Team, server: GitServer, tmp_path: Path) -> None:
    pointer = server.keep(b"the right content")
    server.wrong = set(server.large)
    top = team.release("v1.0.0", {"a.bin": pointer})
    with pytest.raises(LargeFilesError, match=r"a\.bin is in Git LFS, and"):
        check_out(server, top, tmp_path / "checkout")
    server.wrong = set()
    assert (check_out(server, top, tmp_path / "again") / "a.bin").read_bytes() == b"the right content"


@needs_lfs
def test_large_files_that_the_day_s_data_replaces_are_not_fetched(
    team: Team, server: GitServer, tmp_path: Path
) -> None:
    names = ("a.bin", "data/day.csv", "data/days/1.csv", "data/[1].csv", "data/1.csv")
    top = team.release("v1.0.0", {name: server.keep(name.encode()) for name in names})
    laid = ("data/day.csv", "data/days", "data/[1].csv")
    found = check_out(server, top, tmp_path / "checkout", laid=laid)
    assert [name for name in names if (found / name).read_bytes() == name.encode()] == ["a.bin", "data/1.csv"]
    assert server.downloads() == len(["a.bin", "data/1.csv"])


@needs_lfs
def test_a_damaged_large_file_in_the_store_is_found_and_fetched_again(
    team: Team, server: GitServer, tmp_path: Path
) -> None:
    top = team.release("v1.0.0", {"a.bin": server.keep(b"content")})
    check_out(server, top, tmp_path / "checkout")
    stored = next(path for path in (tmp_path / "mirrors").glob("*/lfs/objects/??/??/*"))
    stored.chmod(0o644)
    stored.write_bytes(b"tnetnoc")
    with pytest.raises(LargeFilesError, match=r"a\.bin is in Git LFS, and its content is not"):
        check_out(server, top, tmp_path / "second")
    assert (check_out(server, top, tmp_path / "third") / "a.bin").read_bytes() == b"content"


@needs_lfs
def test_a_large_file_that_the_server_does_not_have_is_named(team: Team, server: GitServer, tmp_path: Path) -> None:
    pointers = {name: server.keep(name.encode()) for name in ("a.bin", "b.bin")}
    server.large.clear()
    top = team.release("v1.0.0", pointers)
    with pytest.raises(LargeFilesError, match=r"a\.bin and 1 more file are in Git LFS.*git lfs fetch of http"):
        check_out(server, top, tmp_path / "checkout")


@needs_lfs
def test_another_server_of_large_files_does_not_get_the_token(
    team: Team, server: GitServer, elsewhere: GitServer, tmp_path: Path
) -> None:
    pointer = elsewhere.keep(b"content")
    config = f"[lfs]\n\turl = {elsewhere.url}/any.git/info/lfs\n"
    top = team.release("v1.0.0", {"a.bin": pointer, ".lfsconfig": config})
    assert (check_out(server, top, tmp_path / "checkout") / "a.bin").read_bytes() == b"content"
    assert elsewhere.asked
    assert elsewhere.logins == set()


@pytest.mark.parametrize("url", ["file:///etc", "/etc", "ext::sh -c x", "https://user:s3cret@host/x"])
def test_an_lfsconfig_with_an_address_that_no_run_may_use_is_refused(
    team: Team, server: GitServer, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_files, "program_is_there", lambda: True)
    top = team.release("v1.0.0", {"a.bin": server.keep(b"content"), ".lfsconfig": f"[lfs]\n\turl = {url}\n"})
    with pytest.raises(LargeFilesRefusedError, match=r"\.lfsconfig") as refused:
        check_out(server, top, tmp_path / "checkout")
    assert "s3cret" not in str(refused.value)


def test_without_git_lfs_the_release_is_refused_by_the_first_file_and_their_number(
    team: Team, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_files, "program_is_there", lambda: False)
    top = team.release("v1.0.0", {name: server.keep(name.encode()) for name in ("b.bin", "a.bin", "data/day.csv")})
    with pytest.raises(LargeFilesRefusedError, match=r"a\.bin and 2 more files are in Git LFS.*Install git-lfs on"):
        check_out(server, top, tmp_path / "checkout")
    with pytest.raises(LargeFilesRefusedError, match=r"a\.bin and 1 more file are"):
        check_out(server, top, tmp_path / "other", laid=("data",))
    found = check_out(server, top, tmp_path / "laid", laid=("data/day.csv", "a.bin", "b.bin"))
    assert (found / "a.bin").read_text().startswith("version https://git-lfs")


def test_a_text_that_only_begins_like_a_pointer_is_data(
    team: Team, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_files, "program_is_there", lambda: False)
    text = "version https://git-lfs.github.com/spec/v1\nThis page explains pointers.\n"
    top = team.release("v1.0.0", {"page.md": text})
    assert (check_out(server, top, tmp_path / "checkout") / "page.md").read_text() == text
