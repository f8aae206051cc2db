"""The failures of naming a release, one class each."""

from __future__ import annotations

from retrain.errors import ReleaseError


class TagPatternError(ReleaseError):
    """A tag does not fit the pattern of the pipeline's releases."""


class PrereleaseError(ReleaseError):
    """A tag is a pre-release, and the pipeline's file does not ask for them."""


class LabelError(ReleaseError):
    """A label could be taken for a tag, a commit, or a name that moves."""


class LabelTakenError(ReleaseError):
    """A label stands for another commit already."""


class CommitDigitsError(ReleaseError):
    """A commit is not named by its hex digits."""


class AmbiguousCommitError(ReleaseError):
    """Several commits begin with the given digits."""


class CommitGoneError(ReleaseError):
    """The origin no longer has the commit of a label."""


class ReleaseChoiceError(ReleaseError):
    """A release names neither a tag nor a commit with a label, or both."""
