"""The failures of a stage: one class for each, with its exit code."""

from __future__ import annotations

import os


class StageError(Exception):
    """A stage cannot continue. The message is one sentence with the value, the cause and the next step."""

    exit_code = 1


class InputsError(StageError):
    """`run.yaml`, `manifest.json` or `params.yaml` is missing or cannot be used."""

    exit_code = os.EX_CONFIG


class StorageError(StageError):
    """Raw data cannot be read, or results cannot be written: a fault of the infrastructure, so a retry can help."""

    exit_code = os.EX_TEMPFAIL


class DataRefusedError(StageError):
    """The data is refused: a retry cannot help until the data has landed again."""

    exit_code = os.EX_DATAERR
