import json

import pytest

from retrain.dvc import CachedObject
from retrain.errors import UnprovenPushError
from retrain.receipt import prove

FILE, FOLDER = CachedObject("a" * 32, "train", "model/MLmodel"), CachedObject("b" * 32 + ".dir", "train", "model")
GOOD = {FILE.key: (7, "a" * 32), FOLDER.key: (9, "b" * 32)}


def test_what_is_stored_under_its_own_checksum_is_proven() -> None:
    receipt = prove("s3://store/dvc", [FILE, FOLDER], GOOD)
    assert receipt.size == 16
    assert {entry["key"] for entry in json.loads(receipt.to_json())["objects"]} == {FILE.key, FOLDER.key}


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        pytest.param({FOLDER.key: GOOD[FOLDER.key]}, "missing", id="a nested object gone while its listing remains"),
        pytest.param({**GOOD, FILE.key: (0, "d41d8cd98f00b204e9800998ecf8427e")}, "not its content", id="truncated"),
        pytest.param({**GOOD, FILE.key: (7, "c" * 32)}, "not its content", id="another content of the same size"),
        pytest.param({**GOOD, FILE.key: (7, "a" * 32 + "-2")}, "not its content", id="stored in parts, so not proven"),
    ],
)
def test_what_is_not_proven_fails_with_path_stage_and_object(stored: dict[str, tuple[int, str]], said: str) -> None:
    with pytest.raises(UnprovenPushError) as failure:
        prove("s3://store/dvc", [FILE, FOLDER], stored)
    for part in ("model/MLmodel", "train", FILE.key, said):
        assert part in str(failure.value)
