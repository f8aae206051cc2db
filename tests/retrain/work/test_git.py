import os
import subprocess
from pathlib import Path

import pytest
from conftest import Origin

from retrain.errors import HousekeepingError, NotAPipelineError, OriginError, UnknownTagError
from retrain.run.release import Release
from retrain.work import git, mirrors
from retrain.work.origin import Origin as GitOrigin

YEARS_AGO = 1_000_000_000


def test_an_annotated_tag_names_its_commit_and_not_itself(origin: Origin) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0", annotated=True)
    assert git.commit_of_tag(origin.address, "v1.0.0", cwd=origin.clone) == commit


def test_an_unknown_tag_is_refused_by_name(origin: Origin) -> None:
    origin.commit({"dvc.yaml": "stages: {}"})
    with pytest.raises(UnknownTagError, match=r"v9\.9\.9"):
        git.commit_of_tag(origin.address, "v9.9.9", cwd=origin.clone)


def test_an_origin_that_does_not_answer_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(OriginError, match=r"gone\.git"):
        git.commit_of_tag(GitOrigin(str(tmp_path / "gone.git")), "v1.0.0", cwd=tmp_path)


def test_a_tag_without_dvc_yaml_is_refused(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"README": "no pipeline here"})
    origin.tag("v1.0.0")
    with pytest.raises(NotAPipelineError, match=r"v1\.0\.0"):
        git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")


def test_a_commit_with_a_dvc_yaml_in_a_folder_alone_is_a_pipeline(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"ml/taxi/dvc.yaml": "stages: {}", "ml/taxi/a b": ""})
    origin.tag("v1.0.0")
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    assert git.commit_of_digits(mirror, commit[:12]) == commit


@pytest.mark.parametrize(
    ("pattern", "ignored"),
    [("/model.pkl\n", False), ("dvc.lock\n", True), ("*.lock\n", True), ("/ml/*\n", True), ("/data\n", False)],
)
def test_a_pattern_that_hides_a_file_of_dvc_from_git_is_seen(origin: Origin, pattern: str, ignored: bool) -> None:
    origin.commit({"dvc.yaml": "stages: {}", "ml/dvc.yaml": "stages: {}", "raw.csv.dvc": "outs: []"})
    (origin.clone / ".gitignore").write_text(pattern)
    assert git.ignores_dvc_files(origin.clone) is ignored


def test_a_checkout_stays_at_its_commit_when_the_origin_moves_on(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}", "version": "1"})
    origin.tag("v1.0.0")
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    origin.commit({"version": "2"})
    origin.tag("v1.0.0")
    git.checkout(mirror, commit, tmp_path / "checkout")
    assert (tmp_path / "checkout" / "version").read_text() == "1"


def test_the_mirror_needs_no_origin_once_it_has_the_commit(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    release = Release("v1.0.0", commit)
    mirror = git.mirror(origin.address, release, tmp_path / "mirrors")
    origin.path.rename(tmp_path / "gone.git")
    assert git.mirror(origin.address, release, tmp_path / "mirrors") == mirror


def test_a_pinned_commit_that_the_origin_lost_is_named(origin: Origin, tmp_path: Path) -> None:
    origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    with pytest.raises(OriginError, match="f" * 40):
        git.mirror(origin.address, Release("v1.0.0", "f" * 40), tmp_path / "mirrors")


EVERYTHING = "* filter=shout text eol=crlf ident\n"


def hostile(home: Path) -> str:
    """A configuration that would change each file on its way into a checkout; what its hooks and filters run leaves `ran`."""
    ran = home / "ran"
    hook = f"#!/bin/sh\ntouch {ran}\n"
    for name, text in {
        "hooks/post-checkout": hook,
        "template/hooks/post-checkout": hook,
        "template/info/attributes": EVERYTHING,
        "attributes": EVERYTHING,
        ".config/git/attributes": EVERYTHING,
        ".config/git/config": "[core]\n\tautocrlf = true\n",
        "smudge": f"#!/bin/sh\ntouch {ran}\ntr a-z A-Z\n",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(0o755)
    return f"""
[core]
    autocrlf = true
    eol = crlf
    attributesFile = {home}/attributes
    hooksPath = {home}/hooks
    fsmonitor = {home}/hooks/post-checkout
[init]
    templateDir = {home}/template
[filter "shout"]
    smudge = {home}/smudge
    required = true
[diff]
    external = {home}/hooks/post-checkout
"""


@pytest.mark.parametrize("where", ["~/.gitconfig", "the machine's", "the environment"])
def test_filters_hooks_and_line_ends_of_the_machine_do_not_reach_a_checkout(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before = origin.commit({"dvc.yaml": "stages: {}", "text": "one\n"})
    commit = origin.commit({"text": "one\ntwo $Id$\n"})
    origin.tag("v1.0.0")
    home = tmp_path / "home"
    (home / "hostile").write_text(hostile(home))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(home / "template"))
    if where == "the environment":
        for name, value in {"COUNT": "1", "KEY_0": "include.path", "VALUE_0": str(home / "hostile")}.items():
            monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    elif where == "the machine's":
        monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
        monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(home / "hostile"))
    else:
        (home / "hostile").rename(home / ".gitconfig")
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    for standalone in (False, True):
        to = tmp_path / f"checkout-{standalone}"
        git.checkout(mirror, commit, to, standalone=standalone)
        assert (to / "text").read_bytes() == b"one\ntwo $Id$\n"
    assert git.changed_files(mirror, before, commit) == ["M\ttext"]
    assert not (home / "ran").exists()


def test_the_way_to_the_origin_is_the_machine_s_own(origin: Origin, tmp_path: Path) -> None:
    """A token in a rewritten address, a credential helper, a proxy: Git finds them in the configuration of who runs us."""
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    address = "https://git.example.org/team/pipeline.git"
    (tmp_path / "home" / ".gitconfig").write_text(f'[url "{origin.path}"]\n\tinsteadOf = {address}\n')
    assert git.commit_of_tag(GitOrigin(address), "v1.0.0", cwd=tmp_path) == commit
    assert git.tags(GitOrigin(address), cwd=tmp_path) == ["v1.0.0"]
    assert git.mirror(GitOrigin(address), Release("v1.0.0", commit), tmp_path / "mirrors")


def test_a_repository_that_the_environment_names_is_not_the_one_that_is_read(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a Git hook runs us."""
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another.git"))
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    git.checkout(mirror, commit, tmp_path / "checkout")
    assert (tmp_path / "checkout" / "dvc.yaml").is_file()
    assert not (tmp_path / "another.git").exists()


def test_packing_a_mirror_keeps_what_a_workspace_borrows_although_no_tag_leads_to_it(
    origin: Origin, tmp_path: Path
) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}", "version": "1"})
    origin.tag("v1.0.0")
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    git.checkout(mirror, commit, tmp_path / "workspace")
    git_in(mirror, "tag", "--delete", "v1.0.0")
    for path in mirror.rglob("objects/**/*"):
        os.utime(path, (YEARS_AGO, YEARS_AGO))
    mirrors.pack(mirror)
    assert git_in(tmp_path / "workspace", "show", "HEAD:version") == "1"


def test_the_commit_of_a_branch_stays_in_the_mirror_when_the_branch_moves_on(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    mirror = mirrors.fetched_whole(origin.address, tmp_path / "mirrors")
    assert mirrors.fetched(origin.address, commit, tmp_path / "mirrors") == mirror
    git_in(mirror, "update-ref", "-d", "refs/remotes/origin/main")
    git_in(mirror, "gc", "--quiet", "--prune=now")
    assert mirrors.has(mirror, commit)


def test_a_mirror_that_a_killed_git_began_is_made_to_its_end(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    begun = tmp_path / "mirrors" / mirrors.mirror_name(str(origin.path))
    (begun / "refs").mkdir(parents=True)
    (begun / "HEAD").write_text("ref: refs/heads/main\n")
    assert mirrors.has(mirrors.fetched(origin.address, commit, tmp_path / "mirrors"), commit)


def test_the_locks_that_a_killed_git_left_in_a_mirror_stop_neither_a_fetch_nor_the_packing(
    origin: Origin, tmp_path: Path
) -> None:
    commits = []
    for version in ("1", "2"):
        commits.append(origin.commit({"dvc.yaml": "stages: {}", "version": version}))
        origin.tag(f"v{version}.0.0")
    mirror = git.mirror(origin.address, Release("v1.0.0", commits[0]), tmp_path / "mirrors")
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs/tags/v2.0.0.lock").touch()
    git.mirror(origin.address, Release("v2.0.0", commits[1]), tmp_path / "mirrors")
    (mirror / "packed-refs.lock").touch()
    mirrors.pack(mirror)
    assert git_in(mirror, "rev-parse", "v2.0.0^{commit}").strip() == commits[1]
    assert not list(mirror.rglob("*.lock"))


def test_packing_makes_one_pack_of_what_each_release_brought(origin: Origin, tmp_path: Path) -> None:
    for version in ("1", "2"):
        commit = origin.commit({"dvc.yaml": "stages: {}", "version": version})
        origin.tag(f"v{version}.0.0")
        mirror = git.mirror(origin.address, Release(f"v{version}.0.0", commit), tmp_path / "mirrors")
    assert not list(mirror.glob("objects/pack/*.pack"))  # small fetches are unpacked
    mirrors.pack(mirror)
    assert len(list(mirror.glob("objects/pack/*.pack"))) == 1
    assert not [path for path in mirror.glob("objects/??/*") if path.is_file()]


def test_packing_removes_what_a_killed_git_left_half_written_a_day_ago(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    mirror = git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors")
    objects = mirror / "objects"
    pack, folder, lately = (objects / name for name in ("pack/tmp_pack_a", "tmp_objdir-incoming-b", "pack/tmp_idx_c"))
    (folder / "pack").mkdir(parents=True)
    for path in (pack, folder / "pack" / "tmp_pack_d", lately):
        path.touch()
    for path in (pack, folder / "pack" / "tmp_pack_d", folder):
        os.utime(path, (YEARS_AGO, YEARS_AGO))
    mirrors.pack(mirror)
    assert [path.exists() for path in (pack, folder, lately)] == [False, False, True]
    git.checkout(mirror, commit, tmp_path / "checkout")


def test_a_mirror_that_git_cannot_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "mirror.git").mkdir()
    with pytest.raises(
        HousekeepingError, match=r"mirror\.git failed .*Clear the task.*remove that folder while no run"
    ):
        mirrors.pack(tmp_path / "mirror.git")


def git_in(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_files_of_a_commit_are_listed_with_links_and_submodules_whatever_their_names(
    origin: Origin, tmp_path: Path
) -> None:
    names = {"dvc.yaml": "stages: {}", "größe\n.csv": "1", "a b/c": "2", **{f"many/{n}": "" for n in range(500)}}
    commit = origin.commit(names)
    (origin.clone / "link").symlink_to("dvc.yaml")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    origin.git("add", "link")
    origin.git("commit", "--quiet", "-m", "more")
    origin.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    origin.tag("v1.0.0")
    commit = origin.git("rev-parse", "HEAD")
    git.checkout(git.mirror(origin.address, Release("v1.0.0", commit), tmp_path / "mirrors"), commit, tmp_path / "c")
    found = git.committed_files(tmp_path / "c")
    assert found == {**dict.fromkeys(names, "100644"), "link": "120000", "lib": "160000"}
