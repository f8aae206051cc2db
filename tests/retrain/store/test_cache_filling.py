"""Objects of tracked data in a cache: none counts as there whose content is not what its name says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from retrain.store.cache_filling import fill_from_folder, holds
from retrain.store.cached_objects import changed_file
from retrain.work.dvc.outputs import CachedObject, Output

FILES = {"a.csv": b"1\n", "deep/b.csv": b"2\n", "deep/same.csv": b"1\n"}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def put(cache: Path, content: bytes, suffix: str = "") -> CachedObject:
    item = CachedObject(md5(content) + suffix, "data.dvc", "data")
    path = cache / item.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return item


def put_folder(cache: Path) -> CachedObject:
    members = [{"md5": put(cache, body).md5, "relpath": name} for name, body in FILES.items()]
    return put(cache, json.dumps(members).encode(), ".dir")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_held_with_all_its_files_only(tmp_path: Path) -> None:
    folder = put_folder(tmp_path)
    assert holds(folder, tmp_path)
    (tmp_path / CachedObject(md5(b"2\n"), "", "").key).unlink()
    assert not holds(folder, tmp_path)


@pytest.mark.parametrize("spoilt", ["a.csv", None], ids=["a file", "the listing"])
def test_a_wrong_object_is_not_held_and_is_put_aside(tmp_path: Path, spoilt: str | None) -> None:
    folder = put_folder(tmp_path)
    item = folder if spoilt is None else CachedObject(md5(FILES[spoilt]), "", "")
    (tmp_path / item.key).write_bytes(b"other")
    assert not holds(folder, tmp_path)
    assert not (tmp_path / item.key).exists()
    assert [name for name in files(tmp_path) if ".corrupt-" in name]


def test_what_was_fetched_is_moved_into_the_cache_read_only(tmp_path: Path) -> None:
    fetched, cache = tmp_path / "fetched", tmp_path / "cache"
    folder = put_folder(fetched)
    assert fill_from_folder(folder, fetched, cache) is None
    assert holds(folder, cache)
    assert files(fetched) == []
    assert {path.stat().st_mode & 0o777 for path in cache.rglob("*") if path.is_file()} == {0o444}


@pytest.mark.parametrize("absent", [True, False], ids=["absent", "altered"])
def test_of_what_was_fetched_wrong_nothing_comes_into_the_cache(tmp_path: Path, absent: bool) -> None:
    fetched, cache = tmp_path / "fetched", tmp_path / "cache"
    folder = put_folder(fetched)
    file = fetched / CachedObject(md5(b"2\n"), "", "").key
    if absent:
        file.unlink()
    else:
        file.write_bytes(b"other")
    wrong = fill_from_folder(folder, fetched, cache)
    assert wrong is not None
    assert wrong.path == "data/deep/b.csv"
    assert files(cache) == []


def test_a_changed_file_of_tracked_data_is_found_and_an_added_one_is_no_matter(tmp_path: Path) -> None:
    cache, checkout = tmp_path / "cache", tmp_path / "checkout"
    output = Output("data.dvc", "data", put_folder(cache).md5, 1)
    for name, body in FILES.items():
        (checkout / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / "data" / name).write_bytes(body)
    (checkout / "data/added.csv").write_bytes(b"x")
    assert changed_file(output, checkout, cache) is None
    (checkout / "data/deep/b.csv").write_bytes(b"3\n")
    assert changed_file(output, checkout, cache) == "data/deep/b.csv"
    (checkout / "data/a.csv").unlink()
    assert changed_file(output, checkout, cache) == "data/a.csv"
