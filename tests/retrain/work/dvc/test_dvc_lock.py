import json
from typing import Any

import pytest

from retrain.errors import DvcLockError
from retrain.work.dvc.dvc_lock import dvc_lock_outputs


def test_a_dvc_lock_alone_has_stages_paths_and_contents() -> None:
    out: dict[str, Any] = {"path": "m", "md5": "1" * 32, "hash": "md5"}
    lock = {
        "schema": "2.0",
        "stages": {"a@1": {"cmd": "x", "outs": [out, {"path": "s3://b/k", "etag": "e"}]}, "b": {"cmd": "y"}},
    }
    assert dvc_lock_outputs(json.dumps(lock)) == [("a@1", "m", "1" * 32)]
    assert dvc_lock_outputs("") == []


@pytest.mark.parametrize("text", ["stages: [", "- 1", "stages: {a: 1}", "stages: {a: {outs: [{md5: x}]}}"])
def test_what_is_no_dvc_lock_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(DvcLockError, match=r"^The dvc\.lock cannot be read"):
        dvc_lock_outputs(text)
