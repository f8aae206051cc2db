"""The failures of finding what DVC has to run, one class each."""

from __future__ import annotations

from retrain.errors import ReleaseError


class TargetError(ReleaseError):
    """A target that the pipeline's file names is no stage and no dvc.yaml of the release."""


class FrozenLockError(ReleaseError):
    """DVC cannot read the dvc.lock of a frozen stage, and nothing else says what the stage's outputs are."""


class HydraError(ReleaseError):
    """The release's params cannot be composed with Hydra."""
