"""The variables by which Git reads a private origin: a token for its server alone, or an SSH key. Nothing of them is in an argument list.

The secrets are in files that only this user can read, and that are removed when the access is closed. Those of a process that was
killed are removed by the next one on the same machine that opens an access.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from retrain.deployment.git_address import GitAddress
from retrain.work import process
from retrain.work.errors import OriginConnectionError
from retrain.work.file_lock import locked, try_locked

# No other key, no question, no unknown server, and nothing that the server could ask of this machine.
_SSH = (
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "UpdateHostKeys=no",
    "ConnectTimeout=30",
)
_ALIAS = "origin"  # the server's name in our file of known hosts, whatever its address and port are
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
_KEY_SECONDS = 30.0
_FOLDER, _IN_USE = "git-access-", "in-use"
_NEW_SECONDS = 60.0  # a folder that is younger may not be locked yet


@contextmanager
def by_token(address: GitAddress, user: str, token: str) -> Iterator[dict[str, str]]:
    """Variables by which Git shows user and token to the server of an http or https address, and to no other.

    Git asks the helper for the server that it talks to, so neither a redirect to another server nor a submodule there gets the token.
    """
    with _folder() as folder:
        entry = f"://{quote(user, safe='')}:{quote(token, safe='')}@".join(address.base.split("://", 1))
        file = _private(folder / "credentials", f"{entry}\n")
        helper = f"credential.{address.base}.helper"
        # The empty one takes away the helpers of this machine, which could have another token for the server.
        settings = [
            (helper, ""),
            (helper, f"store --file={shlex.quote(str(file))}"),
            (f"credential.{address.base}.useHttpPath", "false"),
        ]
        yield {**_configuration(settings), "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


@contextmanager
def by_key(
    address: GitAddress, key: str, host_keys: Sequence[str], user: str, connection: str
) -> Iterator[dict[str, str]]:
    """Variables by which Git reads an SSH address with a private key.

    Args:
        address: the origin.
        key: the text of the private key.
        host_keys: the keys of the server, each a type and the key in base64, or the key alone. Empty: those that this machine knows.
        user: the user on the server, if the address has none; may be empty.
        connection: the Airflow connection, for errors.

    Raises:
        OriginConnectionError: the key has a passphrase or is no private key, a host key is no key, or the user is no login.
    """
    if user and not _LOGIN.fullmatch(user):
        raise OriginConnectionError(f"The login of the connection {connection} is not the name of a user. Correct it.")
    with _folder() as folder:
        file = _private(folder / "key", f"{key.strip()}\n")
        _require_usable(file, connection)
        options = list(_SSH)
        if host_keys:
            lines = [f"{_ALIAS} {_host_key(each, connection)}\n" for each in host_keys]
            known = _private(folder / "known_hosts", "".join(lines))
            options += [
                f'UserKnownHostsFile="{known}"',
                "GlobalKnownHostsFile=/dev/null",
                f"HostKeyAlias={_ALIAS}",
                "CheckHostIP=no",
            ]
        if user and not address.user:
            options.append(f"User={user}")
        command = ["ssh", "-i", str(file), *(part for option in options for part in ("-o", option))]
        yield {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for secrets, which only this user can enter."""
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with suppress(OSError):  # its own process is removing it
            _remove_if_left(left)
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as name, locked(_private(Path(name) / _IN_USE, "")):
        yield Path(name)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of this user whose process has ended without doing so."""
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.getuid() or time.time() - about.st_mtime < _NEW_SECONDS:
        return
    with try_locked(folder / _IN_USE) as is_left:
        if is_left:
            shutil.rmtree(folder)


def _private(path: Path, text: str) -> Path:
    """Write a file that only this user can read, from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _configuration(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings of Git's configuration as variables, behind those that this process has already."""
    given = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(given) if given.isdigit() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings, first):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _require_usable(key: Path, connection: str) -> None:
    """Check a private key. With a passphrase SSH would ask for it, and nobody would answer."""
    empty = ("-P", "")
    argv = ["ssh-keygen", "-y", *empty, "-f", str(key)]
    done = process.run(argv, cwd=key.parent, env=process.environment(LC_ALL="C"), timeout=_KEY_SECONDS, quiet=True)
    if done.returncode == 0:
        return
    if "passphrase" in done.output:
        raise OriginConnectionError(
            f"The private key of the connection {connection} has a passphrase. Give the connection a key without one, which may only "
            "read this repository (a deploy key)."
        )
    raise OriginConnectionError(
        f"The private_key of the connection {connection} is not a private key that SSH can read. Write the whole file, with its first "
        "and last line and its line breaks."
    )


def _host_key(text: str, connection: str) -> str:
    """A server's key as it stands in a file of known hosts: its type, and the key in base64, which begins with the type."""
    for word in reversed(text.split()):
        try:
            content = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            continue
        length = int.from_bytes(content[:4], "big")
        if 0 < length <= len(content) - 4 and (kind := content[4 : 4 + length]).isascii():
            return f"{kind.decode()} {word}"
    raise OriginConnectionError(
        f"host_key in the extra of the connection {connection} is not a server's public key. Write a line of ssh-keyscan without the "
        "host, such as: ssh-ed25519 AAAA..."
    )
