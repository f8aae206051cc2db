"""What a stage may fail with, one class a kind of failure, each with its exit code."""

from __future__ import annotations

import os


class StageError(Exception):
    """A stage cannot go on; the message is one sentence with the value, the cause and the next step."""

    exit_code = 1


class InputsError(StageError):
    """`run.yaml`, `manifest.json` or `params.yaml` is missing or cannot be used."""

    exit_code = os.EX_CONFIG


class StorageError(StageError):
    """Raw data could not be read, or results not be written: infrastructure, not data, so worth another try."""

    exit_code = os.EX_TEMPFAIL


class DataRefusedError(StageError):
    """The data is refused: trying again cannot help before it has been landed anew."""

    exit_code = os.EX_DATAERR
