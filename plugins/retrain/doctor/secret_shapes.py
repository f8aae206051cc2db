"""The shape that each secret must have. A sentence about a secret never quotes it."""

from __future__ import annotations

import base64
import binascii
import configparser
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

# The value of git_credentials for an origin that asks for none: Secrets Manager takes no empty value.
NO_CREDENTIALS = "none"
_FERNET_BYTES = 32
_SHORTEST = 16  # characters of a password


def _address(text: str) -> SplitResult:
    """The parts of an address; all are empty if it cannot be one."""
    try:
        return urlsplit(text)
    except ValueError:  # such as a bracket that is never closed
        return urlsplit("")


def _fernet(text: str) -> str:
    for key in text.split(","):
        try:
            size = len(base64.b64decode(key, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            return "is not a Fernet key (44 characters of URL-safe base64)"
        if size != _FERNET_BYTES:
            return f"is not a Fernet key: {size} bytes, 32 are needed"
    return ""


def _password(text: str) -> str:
    if re.search(r"\s", text):
        return "has white space in it"
    return f"is shorter than {_SHORTEST} characters" if len(text) < _SHORTEST else ""


def _database(text: str) -> str:
    address = _address(text)
    whole = address.scheme.startswith("postgresql") and address.hostname and address.password
    return "" if whole else "is not postgresql+psycopg2://user:password@host:5432/database"


def _broker(text: str) -> str:
    address = _address(text)
    return "" if address.scheme in ("redis", "rediss") and address.hostname else "is not redis://:password@host:6379/0"


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _connections(text: str) -> str:
    document = _object(text)
    if document is None:
        return "is not a JSON object"
    untyped = sorted(
        name
        for name, each in document.items()
        if not (isinstance(each, str) or (isinstance(each, dict) and each.get("conn_type")))
    )
    return f"has no conn_type for {', '.join(untyped)}" if untyped else ""


def _users(text: str) -> str:
    document = _object(text)
    if document is None:
        return "is not a JSON object of users and passwords"
    missing = [user for user in ("admin", "watch") if not document.get(user)]
    return f"has no password for {' and '.join(missing)}" if missing else ""


def _git(text: str) -> str:
    if text.strip() in ("", NO_CREDENTIALS):
        return ""
    for number, line in enumerate(text.strip().splitlines(), 1):
        address = _address(line)
        if not (address.scheme in ("http", "https") and address.username and address.password and address.hostname):
            return f"has in line {number} no https://user:token@host; for a public repository write {NO_CREDENTIALS}"
    return ""


def _aws(text: str) -> str:
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return "is not a file of AWS profiles"
    return "" if parser.sections() else "names no profile"


def _slack_token(text: str) -> str:
    return "" if re.fullmatch(r"xoxb-[!-~]+", text) else "is not a bot's token: it begins with xoxb-, and is one word"


def _webhook(text: str) -> str:
    address = _address(text)
    right = address.scheme in ("http", "https") and re.fullmatch(r"/services/[^/\s]+/[^/\s]+/[^/\s]+", address.path)
    return "" if right else "is not https://hooks.slack.com/services/T…/B…/…"


def _redis(text: str) -> str:
    return "" if re.fullmatch(r"requirepass \S+", text.strip()) else "is not `requirepass PASSWORD`"


def _exporter(text: str) -> str:
    return "" if _object(text) else 'is not {"redis://host:6379": "password"}'


_Shape = Callable[[str], str]
_SHAPES: Mapping[str, _Shape] = {
    "admin_password": _password,
    "airflow_database_password": _password,
    "airflow_database_url": _database,
    "airflow_passwords": _users,
    "api_secret_key": _password,
    "aws_credentials": _aws,
    "broker_url": _broker,
    "connections.json": _connections,
    "fernet_key": _fernet,
    "git_credentials": _git,
    "grafana_password": _password,
    "jwt_secret": _password,
    "mlflow_database_password": _password,
    "mlflow_database_url": _database,
    "monitor_database_password": _password,
    "postgres_exporter_password": _password,
    "postgres_password": _password,
    "redis.conf": _redis,
    "redis_exporter.json": _exporter,
    "slack_token": _slack_token,
    "slack_webhook": _webhook,
    "watch_password": _password,
}
_MAY_BE_EMPTY = frozenset({"git_credentials", "s3_keys"})
# Documents of lines or of JSON, whose readers do not mind a newline at the end.
_DOCUMENTS = frozenset({"airflow_passwords", "aws_credentials", "connections.json", "git_credentials", "redis.conf"})


def problem(name: str, text: str) -> str:
    """What is wrong with a secret's value, as the end of a sentence that begins with its name; empty if nothing is."""
    if not text.strip():
        return "" if name in _MAY_BE_EMPTY else "is empty"
    if name not in _DOCUMENTS and text != text.strip():
        return "begins or ends with white space, which some of its readers take for a part of it"
    shape = _SHAPES.get(name)
    return shape(text) if shape else ""


def watch_may_sign_in(users: str, password: str) -> bool:
    """True if the watch's password is the one that Airflow knows."""
    return (_object(users) or {}).get("watch") == password.strip()


def values(text: str) -> set[str]:
    """The secrets in a file: its whole text, and the passwords in addresses, in AWS profiles, in Redis' line and in a JSON object."""
    found = {text.strip()}
    for line in text.splitlines():
        found |= _passwords(line)
        if re.match(r"requirepass|aws_(secret|session)", line.strip()):
            found.add(re.split(r"[\s=]+", line.strip(), maxsplit=1)[-1])
    for each in (_object(text) or {}).values():
        found |= _of_connection(each) if isinstance(each, dict) else {str(each), *_passwords(str(each))}
    return found - {""}


def _passwords(address: str) -> set[str]:
    """The password of an address, as it stands there and as a server gets it."""
    password = _address(address).password or ""
    return {password, unquote(password)}


def _of_connection(connection: Mapping[str, Any]) -> set[str]:
    """The values of a connection, and of its extra, whose names say that they are secret."""
    extra = connection.get("extra")
    more = _object(extra) if isinstance(extra, str) else extra
    named = {**connection, **(more if isinstance(more, dict) else {})}
    return {str(value) for name, value in named.items() if value and re.search("password|secret|token", name)}
