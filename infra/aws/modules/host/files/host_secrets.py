"""The host's secrets as files in memory, taken from Secrets Manager at each start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from host_errors import MissingSecretError, ProgramFailedError
from host_program import run

# Made anew out of the others at each start, by the release's own script.
_DERIVED = ("airflow_database_url", "mlflow_database_url", "airflow_passwords")
# Short, so that a boot without AWS goes on with the copy within a minute.
_PATIENCE = ("--cli-connect-timeout=5", "--cli-read-timeout=10")


def fetch(names: tuple[str, ...], folder: str, region: str) -> dict[str, str]:
    """The values in Secrets Manager, by name.

    Raises:
        MissingSecretError: one has no value, or cannot be read.
    """
    found = {}
    for name in names:
        secret = f"{folder}/{name}"
        command = ["aws", "secretsmanager", "get-secret-value", f"--region={region}", f"--secret-id={secret}"]
        try:
            value = run(
                [*command, "--query=SecretString", "--output=text", *_PATIENCE],
                seconds=60,
                variables={"AWS_MAX_ATTEMPTS": "2"},
            )
        except ProgramFailedError as error:
            raise MissingSecretError(
                f"The secret {secret} has no value yet, or this host cannot read it: {error}. See infra/aws/README.md, Secrets."
            ) from error
        found[name] = value.removesuffix("\n")
    return found


def secrets_of_boot(
    names: tuple[str, ...], ask: Callable[[], dict[str, str]], kept: Path | None, say: Callable[[str], None]
) -> dict[str, str]:
    """The values for a start that nobody asked for: Secrets Manager's, or the copy's if that cannot be asked.

    Raises:
        MissingSecretError: Secrets Manager cannot be asked, and there is no complete copy.
    """
    try:
        return ask()
    except MissingSecretError as error:
        if kept is None or not all((kept / name).is_file() for name in names):
            raise
        say(f"The copy of the secrets in {kept} is used. {error}")
        return {name: (kept / name).read_text(encoding="utf-8") for name in names}


def keep_copy(values: Mapping[str, str], kept: Path | None) -> None:
    """Replace the copy: root's alone, on the system disk, which is encrypted and in no backup."""
    if kept is None:
        return
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept.chmod(0o700)
    for path in kept.iterdir():
        if path.name not in values:
            path.unlink()
    for name, value in values.items():
        draft = kept / f".{name}"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(value)
        draft.replace(kept / name)


def write(values: Mapping[str, str], folder: Path) -> None:
    """Write the values where containers read them, each into its existing file.

    A running container keeps the file that it was started with, and the watch reads Slack's token again.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name in _DERIVED:
        if name not in values:
            (folder / name).unlink(missing_ok=True)
    for name, value in values.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == value:
            continue
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(value)
