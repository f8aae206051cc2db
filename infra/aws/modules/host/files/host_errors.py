"""The failures of the host's programs, one class each; `code` is the exit code with which the program ends."""

from __future__ import annotations

from typing import ClassVar


class HostError(Exception):
    """A program of the host cannot go on; the message names the value, the cause and the next step."""

    code: ClassVar[int] = 1


class ProgramFailedError(HostError):
    """A program that was called ended with an error, took too long, or is not installed."""


class NotAReleaseError(HostError):
    """The argument is no release's tag."""

    code = 64


class RegistryError(HostError):
    """The registry does not answer, or has no image under the release's tag."""

    code = 69


class MissingVolumeError(HostError):
    """The shared volume is not mounted, so that only the watch and the services without it run."""

    code = 75


class UnsignedImageError(HostError):
    """An image has no signature of the signer that the host's settings name, or none could be checked."""

    code = 76  # not 77: systemd tries again at a boot, because the signer's log may be away


class RefusedServiceError(HostError):
    """The release's compose file asks for something that no release may have on this host."""

    code = 77


class SettingError(HostError):
    """A setting of the host is missing or cannot be read."""

    code = 78


class MissingSecretError(HostError):
    """A secret of the host has no value, or the host may not read it."""

    code = 78
