import hashlib
import json
from pathlib import Path

import pytest

from retrain.errors import CorruptCacheError, DvcLockError
from retrain.store.cached_objects import objects_of
from retrain.work.dvc.outputs import Output

LISTING = json.dumps([{"md5": "6" * 32, "relpath": "a"}, {"md5": "7" * 32, "relpath": "b/c"}])
FOLDER = Output("prepare", "data/clean", f"{hashlib.md5(LISTING.encode(), usedforsecurity=False).hexdigest()}.dir", 5)
FILES = [Output("train", "model", "3" * 32, 9), Output("copy", "same", "3" * 32, 9)]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / FOLDER.item.key).parent.mkdir(parents=True)
    (tmp_path / FOLDER.item.key).write_text(LISTING)
    return tmp_path


def test_a_folder_is_its_listing_and_all_its_files_and_each_object_is_there_once(cache: Path) -> None:
    objects = objects_of([FOLDER, *FILES], cache)
    assert {item.path for item in objects} == {"data/clean", "data/clean/a", "data/clean/b/c", "model"}
    assert [item.md5 for item in objects] == sorted(item.md5 for item in objects)


def test_outputs_that_dvc_keeps_nowhere_are_made_of_no_objects(cache: Path) -> None:
    assert objects_of([Output("a", "scratch", "4" * 32, 1, stored=False)], cache) == []


def test_a_folder_whose_listing_is_lost_fails_by_name(tmp_path: Path) -> None:
    with pytest.raises(DvcLockError, match=r"listing .*\.dir of data/clean \(stage prepare\) is not in the cache"):
        objects_of([FOLDER], tmp_path)


def test_a_listing_that_is_not_what_its_name_says_is_put_aside_and_not_believed(cache: Path) -> None:
    (cache / FOLDER.item.key).write_text("[]")
    with pytest.raises(CorruptCacheError, match="data/clean"):
        objects_of([FOLDER], cache)
    assert not (cache / FOLDER.item.key).exists()
    assert [path.read_text() for path in cache.rglob("*.corrupt-*")] == ["[]"]
