"""Find out which stack a checkout has, from environment variables and the files of its state folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from stack_model import Ports, SettingsError, Stack
from state_files import load_secrets, read_stack_file

_HIGHEST_PORT = 65535
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


class PortError(SettingsError):
    """A port variable is not a port number, or two servers have the same port."""


class AirflowPathError(SettingsError):
    """RETRAIN_AIRFLOW_PATH is not a path of names and slashes."""


def load_stack(root: Path, environ: Mapping[str, str]) -> Stack:
    """Describe the stack of a checkout; its secrets are generated at the first call.

    The state folder is RETRAIN_STATE, by default `<root>/.local`. Each port is taken from its variable
    (RETRAIN_AIRFLOW_PORT, RETRAIN_MLFLOW_PORT, RETRAIN_S3_PORT, RETRAIN_SLACK_PORT, RETRAIN_EXECUTION_PORT,
    RETRAIN_ALERTS_PORT); if that is not set, from the stack that is up; otherwise it is the default of `Ports`.
    RETRAIN_PIPELINES names a folder of pipeline files other than `dags/pipelines`, and RETRAIN_AIRFLOW_PATH the path below
    which Airflow is served.

    Raises:
        AirflowPathError: the path is not of the form `/name` or `/name/name`.
        PortError: a port variable is not a number from 1 to 65535, or two servers have the same port.
        StoredSecretsError: the file of the secrets is damaged.
    """
    state = Path(environ.get("RETRAIN_STATE") or root / ".local").expanduser().absolute()
    env_file = state / "stack.env"
    in_use = read_stack_file(env_file) if env_file.exists() else {}
    pipelines = environ.get("RETRAIN_PIPELINES") or in_use.get("RETRAIN_PIPELINES")
    return Stack(
        root.absolute(),
        state,
        _ports(environ, in_use),
        load_secrets(state / "secrets.json"),
        Path(pipelines).expanduser().absolute() if pipelines else None,
        _airflow_path(environ.get("RETRAIN_AIRFLOW_PATH") or in_use.get("RETRAIN_AIRFLOW_PATH") or ""),
    )


def _airflow_path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise AirflowPathError(f"RETRAIN_AIRFLOW_PATH={value!r} is not a path. Set it to one such as /airflow.")
    return value


def _ports(environ: Mapping[str, str], in_use: Mapping[str, str]) -> Ports:
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        variable = f"RETRAIN_{field.name.upper()}_PORT"
        value = environ.get(variable) or in_use.get(variable) or str(field.default)
        if not value.isdecimal() or not 0 < int(value) <= _HIGHEST_PORT:
            raise PortError(f"{variable}={value!r} is not a port. Set it to a number from 1 to {_HIGHEST_PORT}.")
        chosen[field.name] = int(value)
    if len(set(chosen.values())) < len(chosen):
        raise PortError(f"Two servers cannot share a port: {chosen}. Set other RETRAIN_…_PORT variables.")
    return Ports(**chosen)
