"""The failures of making an environment out of a release's files."""

from __future__ import annotations

from retrain.errors import ConfigurationError, EnvironmentBuildError, EnvironmentDefinitionError


class LocalPathError(EnvironmentDefinitionError):
    """A release names a package by a path that is not in its repository."""


class NoPackagesFileError(EnvironmentDefinitionError):
    """A release has no file from which its packages can be resolved, or several of equal rank."""


class StaleLockError(EnvironmentDefinitionError):
    """A lock cannot be read, or does not have what the project beside it declares."""


class RequiredPythonError(EnvironmentDefinitionError):
    """A release excludes the Python that its pipeline's file, or the deployment, chooses."""


class PythonMissingError(EnvironmentBuildError):
    """The Python that a pipeline's file names is not on this machine."""


class SuppliedLockError(ConfigurationError):
    """The requirements file that `packages.lock` names is missing, is elsewhere, or was changed during a run."""
