"""Which Git mirrors the housekeeping removes, and which it packs. The repositories are real."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Origin

from retrain.deployment.housekeeping_file import HousekeepingLimits
from retrain.errors import HousekeepingError
from retrain.housekeeping import git_mirrors
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.run.release import Release
from retrain.work import git, workspace

NOW = datetime(2026, 3, 31, 3, 30, tzinfo=UTC)
LIMITS = HousekeepingLimits(schema_version=1, owner="ml-platform")


@pytest.fixture
def mirror(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that nothing has used for 31 days."""
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "volume"))
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    found = git.mirror(origin.address, Release("v1.0.0", commit), workspace.mirrors())
    return used(found, days=31)


def used(mirror: Path, days: float) -> Path:
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(mirror / "HEAD", (moment, moment))
    return mirror


def run(*urls: str, dry_run: bool = False, broken: str = "") -> HousekeepingRun:
    services = {
        f"pipeline_{number}": SimpleNamespace(deployment=SimpleNamespace(repository=SimpleNamespace(url=url)))
        for number, url in enumerate(urls)
    }
    return HousekeepingRun(LIMITS, dry_run, NOW, services, {"other": broken} if broken else {})  # type: ignore[arg-type]


def test_a_mirror_goes_once_no_file_names_its_address_and_nothing_used_it_for_long(mirror: Path) -> None:
    cleaned = git_mirrors.clean(run("https://git.example.org/other.git"))
    assert not mirror.exists()
    assert cleaned.places[0].freed.files > 3


def test_a_mirror_stays_as_long_as_the_file_of_one_pipeline_names_its_address(origin: Origin, mirror: Path) -> None:
    git_mirrors.clean(run("https://git.example.org/other.git", str(origin.path)))
    assert list(mirror.glob("objects/pack/*.pack"))


def test_the_mirror_of_a_submodule_which_no_file_names_stays_while_it_is_used(mirror: Path) -> None:
    used(mirror, days=29)
    git_mirrors.clean(run())
    assert mirror.exists()


def test_a_run_that_finds_its_commit_in_the_mirror_uses_it_too(origin: Origin, mirror: Path) -> None:
    release = Release("v1.0.0", origin.git("rev-parse", "v1.0.0"))
    origin.path.rename(origin.path.with_name("gone.git"))
    git.mirror(origin.address, release, workspace.mirrors())
    git_mirrors.clean(run())
    assert mirror.exists()


def test_packing_a_mirror_does_not_count_as_using_it(mirror: Path) -> None:
    used(mirror, days=29)
    git_mirrors.clean(run())
    later = HousekeepingRun(LIMITS, dry_run=False, now=NOW + timedelta(days=2), services={})
    git_mirrors.clean(later)
    assert not mirror.exists()


@pytest.mark.parametrize("place", ["checkout", "checkout/libs/inner", "second/checkout"])
def test_a_mirror_stays_while_a_checkout_in_a_workspace_borrows_its_objects(mirror: Path, place: str) -> None:
    commit = git.commit_of_digits(mirror, (mirror / "refs/tags/v1.0.0").read_text().strip())
    assert commit
    git.checkout(mirror, commit, workspace.home() / "workspaces" / "taxi" / "run" / "attempt" / place)
    used(mirror, days=31)
    git_mirrors.clean(run())
    assert mirror.exists()


def test_no_mirror_goes_while_the_file_of_a_pipeline_cannot_be_read(mirror: Path) -> None:
    git_mirrors.clean(run(broken="repository.url: field required"))
    assert mirror.exists()


def test_a_dry_run_names_the_mirror_and_leaves_it(mirror: Path) -> None:
    cleaned = git_mirrors.clean(run(dry_run=True))
    assert mirror.exists()
    assert cleaned.places[0].freed.files > 3


def test_a_broken_mirror_does_not_keep_the_others_from_being_cleaned(mirror: Path) -> None:
    broken = workspace.mirrors() / "a-broken-one.git"
    broken.mkdir()
    (broken / "HEAD").touch()
    with pytest.raises(HousekeepingError, match=r"1 Git mirrors were not cleaned. a-broken-one\.git: git gc"):
        git_mirrors.clean(run())
    assert not mirror.exists()
