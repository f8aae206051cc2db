"""How a stage ends."""

from __future__ import annotations

import errno
import os

import pytest

from pipeline.errors import DataRefusedError, InputsError, StorageError
from pipeline.stage import run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(DataRefusedError("The data is refused."), 65, id="refused data"),
        pytest.param(StorageError("S3 is down."), 75, id="storage that cannot be read"),
        pytest.param(InputsError("There is no manifest."), 78, id="inputs that cannot be used"),
        pytest.param(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/x"), 75, id="a full disk"),
    ],
)
def test_a_stages_error_ends_as_one_sentence_with_an_exit_code_of_its_own(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def stage() -> None:
        raise error

    assert run(stage) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_an_error_of_the_code_is_not_hidden() -> None:
    def stage() -> None:
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        run(stage)
