"""The failures of a trial, one class each."""

from __future__ import annotations

from retrain.errors import ReleaseError


class UnreleasedError(ReleaseError):
    """The origin has no release tag yet, and no other commit was named."""
