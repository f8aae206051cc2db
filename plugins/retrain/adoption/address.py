"""Which addresses of a repository, and which names of a commit, may be given to Git."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from retrain.adoption.errors import AddressRefusedError
from retrain.alerts.redaction import redact

_SSH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/{0,1}/)[A-Za-z0-9~/][\w./~+-]*")
_REFERENCE = re.compile(r"[A-Za-z0-9_.][\w./@+#=~-]{0,199}")
_SHOWN = 200  # characters of an address
_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_REMOVE_IT = (
    "The address has a user, a password or a token in it, which would be shown, logged and written into the pipeline's file. "
    "Remove it. A run gets it from an Airflow connection (repository.connection); check reads the repository with the access that Git has on "
    "this machine."
)


def checked(address: str) -> str:
    """The address as Git gets it: a folder by its absolute path, else an http, https, ssh or file URL, or user@host:path.

    An error never quotes an address that may have a secret in it.

    Raises:
        AddressRefusedError: it looks like an option, names another transport, or has a secret in it; or there is no such folder.
    """
    if not address.strip() or not address.isprintable():
        raise AddressRefusedError("The address of the repository is empty, or has control characters in it.")
    if address.startswith("-"):
        raise AddressRefusedError("An address begins with no dash. Write a URL, or a folder such as ./-name.")
    if "://" in address:
        return _url(address)
    if "::" in address:
        raise AddressRefusedError(
            "Git would start a program for an address with '::'. Write an https or ssh URL, or a folder."
        )
    if "@" in address.split("/", maxsplit=1)[0] and _folder(address) is None:
        host, _, _ = address.partition(":")
        if not _SSH.fullmatch(address) or not _LOGIN.fullmatch(host.partition("@")[0]) or redact(host) != host:
            raise AddressRefusedError(f"The address is not user@host:path. {_REMOVE_IT}")
        return address
    folder = _folder(address)
    if folder is None:
        raise AddressRefusedError(
            f"There is no repository {_shown(address)} that can be read. Write its URL, or the path of a folder."
        )
    return str(folder)


def _folder(address: str) -> Path | None:
    try:
        folder = Path(address).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long, not readable; a user that does not exist
        return None


def _shown(address: str) -> str:
    return redact(address if len(address) <= _SHOWN else f"{address[:_SHOWN]}…")


def _url(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, user, password = parts.hostname, parts.username, parts.password
        _ = parts.port
    except ValueError as error:
        raise AddressRefusedError(
            "The address is not a URL. Write one such as https://host/team/repository.git"
        ) from error
    if parts.scheme not in ("http", "https", "ssh", "file"):
        raise AddressRefusedError(
            "The address is neither http, https, ssh nor file. Write an https or ssh URL, or a folder."
        )
    if password is not None or (user is not None and (parts.scheme != "ssh" or not _LOGIN.fullmatch(user))):
        raise AddressRefusedError(_REMOVE_IT)
    if parts.query or parts.fragment or redact(address) != address:
        raise AddressRefusedError(_REMOVE_IT)
    if parts.scheme == "file":
        if host or _folder(parts.path) is None:
            raise AddressRefusedError(
                f"There is no repository {_shown(address)} that can be read. Write its URL, or the path of a folder."
            )
    elif not host or host.startswith("-") or not parts.path.strip("/"):
        raise AddressRefusedError(
            "The address has no host or no path. Write one such as https://host/team/repository.git"
        )
    return address


def checked_reference(name: str) -> str:
    """The name of a tag or branch, or a commit.

    Raises:
        AddressRefusedError: it cannot be one.
    """
    if not _REFERENCE.fullmatch(name) or ".." in name or redact(name) != name:
        raise AddressRefusedError(
            "REF is no tag, branch or commit. Write a name such as v1.2.0 or main, or 40 hex digits."
        )
    return name
