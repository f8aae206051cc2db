"""The failures of reading Git origins, and of making a run's surroundings, one class each."""

from __future__ import annotations

from retrain.errors import Cause, ConfigurationError, FinalError, OriginError, ReleaseError


class OriginConnectionError(ConfigurationError):
    """The Airflow connection of an origin does not exist, or does not fit its address."""


class OriginRefusedError(OriginError):
    """The origin refuses the credentials, or does not show its repository to them."""


class OriginHostKeyError(OriginError):
    """The host key of an SSH server is not known, or is not the known one."""


class SubmoduleRefusedError(ReleaseError):
    """A submodule has an address or a path that no run may use, or there are too many."""


class SubmoduleError(OriginError):
    """The pinned commit of a submodule cannot be fetched."""


class LargeFilesRefusedError(ReleaseError):
    """The release has files in Git LFS, and they cannot be fetched here: there is no git-lfs, or their address is refused."""


class LargeFilesError(OriginError):
    """A file in Git LFS could not be fetched, or arrived with other content than its pointer names."""


class ProjectInstallError(ReleaseError):
    """A package whose code is in the release itself cannot be built or installed."""


class StageSecretError(FinalError, cause=Cause.CODE):
    """A value of `secrets` in the pipeline's file does not exist in Airflow, or is too short to be masked."""
