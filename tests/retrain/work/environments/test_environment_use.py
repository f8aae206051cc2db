"""The last use of an environment, and its removal while workers may ask for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrain.work.environments import definition, environment, frozen, package_files, resolution, sources
from retrain.work.file_lock import locked

TEXT = "# python 3.11\n"
IDENTITY = frozen.identity(TEXT.encode())
LONG_AGO, LATELY = 1_000_000_000, 2_000_000_000


def install(folder: Path, *, used: float = LONG_AGO) -> Path:
    """An environment as it looks once it is built."""
    path = folder / IDENTITY[:32]
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").touch()
    (path / "frozen.txt").write_text(TEXT)
    (path / ".complete").touch()
    os.utime(path / ".complete", (used, used))
    return path


def test_asking_for_an_environment_notes_its_use(tmp_path: Path) -> None:
    path = install(tmp_path)
    assert environment.last_use(path) == LONG_AGO
    assert environment.known(tmp_path, IDENTITY)
    assert environment.last_use(path) > LONG_AGO


def test_the_use_of_an_environment_is_noted_before_it_is_read_so_that_it_cannot_go_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install(tmp_path)
    removed = []
    identity = frozen.identity

    def removal_meanwhile(content: bytes) -> str:
        removed.append(environment.remove_unused(path, before=LONG_AGO + 1))
        return identity(content)

    monkeypatch.setattr(frozen, "identity", removal_meanwhile)
    assert environment.known(tmp_path, IDENTITY)
    assert removed == [False]


def test_an_environment_of_the_image_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(tmp_path / "image")
    monkeypatch.setenv("RETRAIN_ENVIRONMENTS", str(tmp_path / "image"))
    assert environment.known(tmp_path / "volume", IDENTITY)
    assert environment.last_use(path) == LONG_AGO


def test_an_unused_environment_is_removed_and_not_known_any_more(tmp_path: Path) -> None:
    path = install(tmp_path)
    assert environment.remove_unused(path, before=LATELY)
    assert not path.exists()
    assert environment.known(tmp_path, IDENTITY) is None


def test_an_environment_that_was_used_since_somebody_looked_stays_known(tmp_path: Path) -> None:
    path = install(tmp_path, used=LATELY)
    assert not environment.remove_unused(path, before=LATELY)
    assert environment.known(tmp_path, IDENTITY)


def test_an_environment_that_is_being_built_stays(tmp_path: Path) -> None:
    path = install(tmp_path)
    (path / ".complete").unlink()
    with locked(path.with_suffix(".lock")):
        assert not environment.remove_unused(path, before=4 * LATELY)
    assert path.exists()


def test_an_environment_that_was_not_built_to_its_end_is_removed_once_it_is_old(tmp_path: Path) -> None:
    path = install(tmp_path)
    (path / ".complete").unlink()
    os.utime(path, (LATELY, LATELY))
    assert not environment.remove_unused(path, before=LATELY)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert environment.remove_unused(path, before=LATELY)


def test_reading_a_remembered_resolution_notes_its_use(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("six==1.17.0\n")
    (tmp_path / "environments" / "resolved").mkdir(parents=True)
    assert resolution.remembered(project, tmp_path / "environments") is None
    defined = definition.of_folder(project)
    source = sources.choose(defined)
    name = package_files.digest(defined, source, package_files.requested_of(defined, source))
    memory = tmp_path / "environments" / "resolved" / f"{name}.txt"
    memory.write_text(TEXT)
    os.utime(memory, (LONG_AGO, LONG_AGO))
    assert resolution.remembered(project, tmp_path / "environments") == TEXT
    assert memory.stat().st_mtime > LONG_AGO
