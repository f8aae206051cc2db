from pathlib import Path

import pytest
from conftest import Origin

from retrain import git
from retrain.errors import NotAPipelineError, OriginError, UnknownTagError
from retrain.release import Release


def test_an_annotated_tag_names_its_commit_and_not_itself(origin: Origin) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0", annotated=True)
    assert git.commit_of_tag(str(origin.path), "v1.0.0", cwd=origin.clone) == commit


def test_an_unknown_tag_is_refused_by_name(origin: Origin) -> None:
    origin.commit({"dvc.yaml": "stages: {}"})
    with pytest.raises(UnknownTagError, match=r"v9\.9\.9"):
        git.commit_of_tag(str(origin.path), "v9.9.9", cwd=origin.clone)


def test_an_origin_that_does_not_answer_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(OriginError, match=r"gone\.git"):
        git.commit_of_tag(str(tmp_path / "gone.git"), "v1.0.0", cwd=tmp_path)


def test_a_tag_without_dvc_yaml_is_refused(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"README": "no pipeline here"})
    origin.tag("v1.0.0")
    with pytest.raises(NotAPipelineError, match=r"v1\.0\.0"):
        git.mirror(str(origin.path), Release("v1.0.0", commit), tmp_path / "mirror.git")


def test_a_checkout_stays_at_its_commit_when_the_origin_moves_on(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}", "version": "1"})
    origin.tag("v1.0.0")
    mirror = git.mirror(str(origin.path), Release("v1.0.0", commit), tmp_path / "mirror.git")
    origin.commit({"version": "2"})
    origin.tag("v1.0.0")
    git.checkout(mirror, commit, tmp_path / "checkout")
    assert (tmp_path / "checkout" / "version").read_text() == "1"


def test_the_mirror_needs_no_origin_once_it_has_the_commit(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    release = Release("v1.0.0", commit)
    mirror = git.mirror(str(origin.path), release, tmp_path / "mirror.git")
    assert git.mirror(str(tmp_path / "gone.git"), release, tmp_path / "mirror.git") == mirror


def test_a_pinned_commit_that_the_origin_lost_is_named(origin: Origin, tmp_path: Path) -> None:
    origin.commit({"dvc.yaml": "stages: {}"})
    origin.tag("v1.0.0")
    with pytest.raises(OriginError, match="f" * 40):
        git.mirror(str(origin.path), Release("v1.0.0", "f" * 40), tmp_path / "mirror.git")


def test_hooks_and_configuration_of_the_machine_do_not_reach_a_checkout(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit({"dvc.yaml": "stages: {}", "text": "one\ntwo\n"})
    origin.tag("v1.0.0")
    origin.git("config", "--global", "core.autocrlf", "true")
    mirror = git.mirror(str(origin.path), Release("v1.0.0", commit), tmp_path / "mirror.git")
    git.checkout(mirror, commit, tmp_path / "checkout")
    assert (tmp_path / "checkout" / "text").read_bytes() == b"one\ntwo\n"
