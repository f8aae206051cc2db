"""The error of a Git command that failed, by what Git and SSH said."""

from __future__ import annotations

from retrain.errors import OriginError
from retrain.work.errors import OriginHostKeyError, OriginRefusedError
from retrain.work.origin import Origin
from retrain.work.process import Finished

_HOST_KEY = ("host key verification failed", "host identification has changed", "no matching host key")
_REFUSED = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied (",
    "too many authentication failures",
    "returned error: 401",
    "returned error: 403",
    "access denied",
    "authentication required",
    "authorization error",
    "repository not found",
)
_SAID = ("fatal: ", "ERROR: ", "error: ", "ssh: ", "remote: ")


def reason(done: Finished) -> str:
    """The line that says best why Git failed."""
    said = [line for line in done.lines if line.startswith(_SAID) or "fatal: " in line]
    return (said or done.lines[-1:] or [f"Git ended with {done.returncode} and said nothing"])[0].strip()


def of_origin(origin: Origin, action: str, done: Finished, timeout: float) -> OriginError:
    """The error of a command that reads an origin. `action` is the command, such as `git fetch`."""
    if done.timed_out:
        return OriginError(
            f"{action} of {origin.described} did not end within {timeout:.0f} seconds. Check the network, then try again."
        )
    said = done.output.lower()
    if any(words in said for words in _HOST_KEY):
        return OriginHostKeyError(
            f"{action} of {origin.described} stopped, because the host key of its server is not the known one. Write the server's "
            f"key into {f'host_key in the extra of {origin.connection}' if origin.connection else 'known_hosts on this machine'}, "
            "after you have compared it with the one that the server's owner publishes."
        )
    if any(words in said for words in _REFUSED) or ("repository" in said and "not found" in said):
        return _refused(origin, action, reason(done))
    return OriginError(
        f"{action} of {origin.described} failed ({reason(done)}). Check the address, and that the server answers and lets this "
        "machine read it, then try again or clear the task."
    )


def _refused(origin: Origin, action: str, why: str) -> OriginRefusedError:
    if origin.connection:
        how = f"Correct the key or token of the connection {origin.connection}, and give it the right to read this repository."
    else:
        how = (
            "No connection is used for this address. Name one in repository.connection of the pipeline's file, on the same host; or "
            "give this machine access to it (git_credentials)."
        )
    return OriginRefusedError(f"{action} of {origin.described} was refused ({why}). {how}")
