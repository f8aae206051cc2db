"""The failures of preparing a checkout for its day, one class each."""

from __future__ import annotations

from retrain.errors import Cause, ConfigurationError, FinalError, ReleaseError, RetrainError, TrackedInputError


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


class MissingProgramError(FinalError, cause=Cause.INFRA):
    """The worker lacks programs that the stages of a run start."""


class NoRemoteError(TrackedInputError):
    """Tracked data needs a remote, and the release has none, no default one, or not the one that it names."""


class LocalRemoteError(TrackedInputError):
    """Tracked data is on a remote that is a path of somebody's disk."""


class NotOnRemoteError(TrackedInputError):
    """Tracked data is not on the remote that the release names for it."""


class UnhashedInputError(TrackedInputError):
    """A .dvc file or dvc.lock does not say which content its data has, so that no content can be trusted."""


class ImportChangedError(TrackedInputError):
    """Imported data is on no remote, and its source has other content than was imported."""


class ImportGoneError(TrackedInputError):
    """Imported data is on no remote, and its source does not have it any more."""


class RevisionGoneError(TrackedInputError):
    """The repository that data was imported from does not have the imported revision any more."""


class RemoteDeniedError(FinalError, cause=Cause.INFRA):
    """A remote of the release refused the credentials, or the lack of them."""


class RemoteUnreachableError(RetrainError, cause=Cause.INFRA):
    """A remote of the release did not answer, or not in time."""


class RemoteDamagedError(RetrainError, cause=Cause.INFRA):
    """A remote of the release sent other bytes than the recorded ones, or fewer."""


class RemoteExtraError(ConfigurationError):
    """The deployment's own DVC lacks the extra for a kind of remote."""


class RemoteOptionError(ConfigurationError):
    """The connection of a remote is of a kind, or has an option, that does not fit the remote."""


class RemoteConnectionError(ConfigurationError):
    """The connection that the pipeline's file names for a remote does not exist, or cannot be read."""


class TrackedFetchError(RetrainError, cause=Cause.INFRA):
    """Tracked data could not be fetched, and DVC's words do not show the cause."""


class TrackedGoneError(RetrainError, cause=Cause.INFRA):
    """The tracked data of a recorded day is not in our store any more."""


class TrackedChangedError(ReleaseError):
    """A stage has changed data that a .dvc file tracks."""
