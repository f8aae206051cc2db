"""The failures of preparing a checkout for its day, one class each."""

from __future__ import annotations

from retrain.errors import Cause, FinalError, ReleaseError, RetrainError


class RawObjectGoneError(FinalError, cause=Cause.DATA):
    """A raw object of the run's manifest does not exist any more, or not in that version."""


class RawObjectDamagedError(RetrainError, cause=Cause.INFRA):
    """A raw object arrived with other bytes than the manifest names."""


class InputNamesError(FinalError, cause=Cause.DATA):
    """The raw objects of an input cannot be laid under the names that the pipeline's file gives them."""


class InputPathError(ReleaseError):
    """The path of an input does not fit the release's checkout: it is an output, a submodule, or leads outside."""


class ParamsKeyError(ReleaseError):
    """A key of `params` in the pipeline's file is not in the release's params file."""


class ParamsFileError(ReleaseError):
    """A file of `params` in the pipeline's file is missing in the release, cannot be read, or is not one that a run may set."""


class ParamsValueError(ReleaseError):
    """A value of `params` in the pipeline's file is not of the kind of the release's own value."""


class DayIndependentError(ReleaseError):
    """The release's model or metrics do not depend on the day, so DVC would return the first day's outputs for ever."""


class FetchStageError(ReleaseError):
    """A stage that `fetch` or `static` names is not in the release, or cannot be run on its own."""
