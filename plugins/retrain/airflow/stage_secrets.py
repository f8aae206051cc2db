"""Reads the secrets of a pipeline's stages out of Airflow's connections and Variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from retrain.airflow import airflow_database
from retrain.deployment.sections import Secret
from retrain.work.errors import StageSecretError
from retrain.work.masking import SHORTEST, forms

if TYPE_CHECKING:
    from airflow.sdk.definitions.connection import Connection

_FIELDS = ("password", "login", "host", "port", "schema")
_OPEN = ("login", "host", "port", "schema")  # parts that may be short: alone they open nothing


def secret_values(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """The value of each secret by the variable that the stages get. Airflow's logs do not show them from then on.

    Raises:
        StageSecretError: Airflow does not have one, or it is too short to be masked; the message names all of them.
    """
    values: dict[str, str] = {}
    wrong: list[str] = []
    unseen = ""
    for name, secret in secrets.items():
        value = _value(secret)
        if not value:
            wrong.append(f"{name} needs {_place(secret)}, which Airflow does not have")
            unseen = airflow_database.not_asked()
        elif len(value) < SHORTEST and not (secret.connection and secret.value in _OPEN):
            wrong.append(f"{name} is {_place(secret)}, which has fewer than {SHORTEST} characters and cannot be masked")
        else:
            values[name] = value
    if wrong:
        raise StageSecretError(
            f"secrets of the pipeline's file: {'; '.join(wrong)}. Correct Airflow's connections and Variables, or the file.{unseen}"
        )
    for form in forms(values.values()):
        mask_secret(form)
    return values


def _place(secret: Secret) -> str:
    return (
        f"{secret.value} of the connection {secret.connection}"
        if secret.connection
        else f"the Variable {secret.variable}"
    )


def _value(secret: Secret) -> str | None:
    """The value; None or empty if there is none."""
    if secret.variable:
        text = Variable.get(secret.variable, default=None)
        return None if text is None else str(text)
    try:
        connection: Connection = BaseHook.get_connection(str(secret.connection))
    except AirflowNotFoundException:
        return None
    if secret.value == "uri":
        return str(connection.get_uri())
    if secret.value in _FIELDS:
        found = getattr(connection, secret.value)
        return None if found is None else str(found)
    part = connection.extra_dejson.get(secret.value)
    return part if part is None or isinstance(part, str) else json.dumps(part)
