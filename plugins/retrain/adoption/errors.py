"""The failures of checking a repository, one class each."""

from __future__ import annotations

from retrain.errors import Cause, FinalError


class AddressRefusedError(FinalError, cause=Cause.CODE):
    """The address of a repository, or the name of its commit, is not one that may be given to Git."""


class EmptyRepositoryError(FinalError, cause=Cause.RELEASE):
    """The repository has no commit."""


class PipelineFileExistsError(FinalError, cause=Cause.CODE):
    """The pipeline's file that should be written exists already."""
