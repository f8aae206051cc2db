"""Make the containers' missing secrets, one file each: `secret_files.py FOLDER [--local]`.

Run as root, each file belongs to the user of the one service that reads it, with mode 0600. Any other caller cannot give files
away: the files stay the caller's, with mode 0444, in a folder that only the caller may enter (0700). A container sees the files that
are mounted into it; other users of this machine see none.

Some secrets must be there before, because only their owner has them: Slack's token and webhook, Git's credentials if the origin
asks for any, and AWS's credentials if no role provides them. With --local, those of profile `local` are made instead.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_POSTGRES = _REDIS = 999
_RETRAIN = 50000
_GRAFANA = 472
_NOBODY = 65534

# Secret -> the user id of its reader. The caller itself reads admin_password.
READERS = {
    "admin_password": os.geteuid(),
    "airflow_database_password": _POSTGRES,
    "airflow_database_url": _RETRAIN,
    "airflow_passwords": _RETRAIN,
    "api_secret_key": _RETRAIN,
    "aws_credentials": _RETRAIN,
    "broker_url": _RETRAIN,
    "connections.json": _RETRAIN,
    "fernet_key": _RETRAIN,
    "git_credentials": _RETRAIN,
    "grafana_password": _GRAFANA,
    "jwt_secret": _RETRAIN,
    "mlflow_database_password": _POSTGRES,
    "mlflow_database_url": _RETRAIN,
    "monitor_database_password": _POSTGRES,
    "postgres_exporter_password": _NOBODY,
    "postgres_password": _POSTGRES,
    "redis.conf": _REDIS,
    "redis_exporter.json": _NOBODY,
    "s3_keys": _RETRAIN,
    "slack_token": _RETRAIN,
    "slack_webhook": _NOBODY,
    "watch_password": _RETRAIN,
}
_EMPTY_IS_FINE = {"git_credentials", "s3_keys"}


class SecretsError(Exception):
    """A secret is missing that cannot be made here; the message names it and its folder."""


@dataclass(frozen=True)
class SecretFiles:
    """The folder of a deployment's secrets. Reading a missing one raises OSError."""

    folder: Path

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8").strip()

    def once(self, name: str, make: Callable[[], str]) -> str:
        """The secret; if its file is missing, it is made by `make` first."""
        path = self.folder / name
        if not path.exists():
            draft = self.folder / f".{name}"
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(make())
            draft.replace(path)
        return self.read(name)


def make_secrets(folder: Path, *, local: bool) -> SecretFiles:
    """Make the missing secrets, then give every file to its reader.

    Raises:
        SecretsError: a secret is missing that cannot be made here.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    files = SecretFiles(folder)
    files.once("postgres_password", _word)
    for name in ("airflow", "mlflow"):
        password = files.once(f"{name}_database_password", _word)
        address = f"postgresql+psycopg2://{name}:{password}@postgres:5432/{name}"
        files.once(f"{name}_database_url", partial(str, address))
    redis = files.once("redis.conf", lambda: f"requirepass {_word()}").split()[1]
    files.once("broker_url", lambda: f"redis://:{redis}@redis:6379/0")
    files.once("redis_exporter.json", lambda: json.dumps({"redis://redis:6379": redis}))
    monitor = files.once("monitor_database_password", _word)
    files.once("postgres_exporter_password", lambda: monitor)
    files.once("fernet_key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    for name in ("jwt_secret", "api_secret_key", "grafana_password"):
        files.once(name, _word)
    watch = files.once("watch_password", _word)
    admin = files.once("admin_password", _word)
    files.once("airflow_passwords", lambda: json.dumps({"admin": admin, "watch": watch}))
    if local:
        _make_local(files)
    files.once("aws_credentials", lambda: "[default]")  # the named profile must exist, with or without keys
    for name in _EMPTY_IS_FINE:
        files.once(name, str)
    files.once("connections.json", lambda: json.dumps(_connections({})))
    missing = [name for name in READERS if not (folder / name).is_file()]
    if missing:
        raise SecretsError(
            f"Put {' and '.join(missing)} into {folder}: they cannot be made here. Then run the same command again."
        )
    for name, reader in READERS.items():
        _give(folder / name, reader)
    return files


def _make_local(files: SecretFiles) -> None:
    """Make the secrets of profile `local`: its S3 server's keys, its Slack stand-in's token and webhook."""
    key, secret = f"retrain{secrets.token_hex(8)}", _word()
    keys = files.once("s3_keys", lambda: f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}")
    key, secret = (line.partition("=")[2] for line in keys.splitlines())
    files.once("aws_credentials", lambda: f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}")
    token = files.once("slack_token", lambda: f"xoxb-local-{_word()}")
    files.once("slack_webhook", lambda: f"http://slack:8090/services/T0RETRAIN/B0RETRAIN/{token}")
    aws: dict[str, object] = {
        "login": key,
        "password": secret,
        "extra": {"endpoint_url": "http://s3:9000", "region_name": "us-east-1"},
    }
    files.once("connections.json", lambda: json.dumps(_connections(aws)))


def _connections(aws: dict[str, object]) -> dict[str, object]:
    """Airflow's connections. Without keys, AWS is reached with the machine's role."""
    return {
        "aws_default": {"conn_type": "aws", **aws},
        "mlflow_default": {"conn_type": "http", "schema": "http", "host": "mlflow", "port": 5000},
    }


def _word() -> str:
    return secrets.token_hex(24)


def _give(path: Path, reader: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, reader, reader)
        path.chmod(0o600)
    elif path.stat().st_uid == os.geteuid():
        path.chmod(0o444)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--local", action="store_true", help="for profile `local` too")
    options = parser.parse_args()
    try:
        make_secrets(options.folder, local=options.local)
    except SecretsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
