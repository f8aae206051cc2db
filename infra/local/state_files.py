"""The private files of a state folder: `secrets.json` and `stack.env`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path

from airflow_configuration import airflow_variables
from program_variables import alerts_variables, s3_variables
from stack_model import Secrets, SettingsError, Stack


class NoStackError(SettingsError):
    """No stack is up on the state folder."""


class StoredSecretsError(SettingsError):
    """The file of the secrets does not hold the expected fields."""


def write_private(path: Path, text: str) -> None:
    """Replace `path` with `text` atomically. Only the owner can read the file, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(path)


def stack_file_variables(stack: Stack) -> dict[str, str]:
    """The content of `stack.env`: the variables that a tool or a test needs to act on the running stack.

    STACK_MARK is not among them: the programs that read the file are clients of the stack, and `down` must not end them.
    """
    ports = {f"RETRAIN_{name.upper()}_PORT": str(port) for name, port in asdict(stack.ports).items()}
    watch = {name: value for name, value in alerts_variables(stack).items() if name.startswith("RETRAIN_")}
    own = {"RETRAIN_STATE": str(stack.state)} | (
        {"RETRAIN_AIRFLOW_PATH": stack.airflow_path} if stack.airflow_path else {}
    )
    return own | ports | airflow_variables(stack) | s3_variables(stack) | watch


def write_stack_file(stack: Stack) -> None:
    """Write `stack.env`: one `KEY=value` per line, without quotes, mode 0600."""
    lines = [f"{name}={value}" for name, value in sorted(stack_file_variables(stack).items())]
    write_private(stack.env_file, "\n".join(lines) + "\n")


def read_stack_file(path: Path) -> dict[str, str]:
    """Read `stack.env`.

    Raises:
        NoStackError: the file does not exist, so no stack is up on this state folder.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoStackError(f"{path} does not exist: no stack is up on this state folder. Run `make up`.") from error
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def load_secrets(path: Path) -> Secrets:
    """Read the secrets of a state folder; if there are none, generate and save them.

    Raises:
        StoredSecretsError: the file is not a JSON object of exactly these fields.
    """
    if not path.exists():
        generated = Secrets.generate()
        write_private(path, json.dumps(asdict(generated), indent=1) + "\n")
        return generated
    try:
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        names = ", ".join(field.name for field in fields(Secrets))
        raise StoredSecretsError(
            f"{path} should be a JSON object of exactly {names}. Run `make down`, delete the file, and run `make up`."
        ) from error
