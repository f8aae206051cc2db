"""The release's own remotes, with the options of the connections for them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config_schema import REMOTE_SCHEMAS
from dvc.fs import get_cloud_fs
from dvc.repo import Repo
from remote_failures import Refused, without_login

# The kinds of Airflow connections that fit a scheme; `generic` fits all, with `more` alone.
_FITTING = {
    "s3": "aws", "http": "http", "https": "http", "webdav": "http", "webdavs": "http", "ssh": "ssh", "gs": "gcp",
    "gdrive": "gcp", "azure": "azure", "hdfs": "hdfs", "webhdfs": "hdfs", "oss": "oss",
}  # fmt: skip


def own_remotes(repo: Repo) -> dict[str, Any]:
    """The remotes of the release's `.dvc/config`, and no other: neither this machine's nor ours."""
    if "repo" not in repo.config.files:
        return {}
    config: dict[str, Any] = repo.config.load_one("repo")
    return config


@dataclass(frozen=True)
class Remotes:
    """The release's remotes, with the connections for them. `config` is its `.dvc/config`."""

    config: dict[str, Any]
    connections: Mapping[str, Mapping[str, Any]]
    s3: Mapping[str, Any]

    def chosen(self, out: Any) -> str:
        """The remote of an output: its own, the default one, or the only one."""
        known = self.config.get("remote", {})
        named = out.remote or out.meta.remote
        name = named or self.config.get("core", {}).get("remote") or (next(iter(known)) if len(known) == 1 else None)
        if not known:
            raise Refused("no_remote")
        if name is None:
            raise Refused("no_default", ", ".join(known))
        if name.lower() not in known:
            raise Refused("unknown_remote", ", ".join(known), remote=name)
        return str(name.lower())

    def address(self, name: str) -> str:
        return without_login(self.resolved(name)["url"])

    def resolved(self, name: str) -> dict[str, Any]:
        """The configuration of a remote, with that of the remote that it refers to."""
        own = self.config["remote"][name]
        base = re.match(r"remote://([^/]+)(.*)", own["url"])
        if base is None:
            return dict(own)
        above = self.resolved(base[1].lower())
        return {**above, **own, "url": above["url"].rstrip("/") + base[2]}

    def opened(self, name: str) -> tuple[Any, str, dict[str, Any]]:
        """The file system of a remote, the path of the remote in it, and its configuration."""
        settings = self.resolved(name)
        if "://" not in settings["url"] and not Path(settings["url"]).is_dir():
            raise Refused("local_remote")
        return (*open_fs(self.with_access(settings, self.connections.get(name))), settings)

    def with_access(self, settings: Mapping[str, Any], connection: Mapping[str, Any] | None) -> dict[str, Any]:
        """The configuration of a remote with the options of its connection, or of the pipeline's own for S3."""
        scheme = settings["url"].partition("://")[0] if "://" in settings["url"] else ""
        if connection is None:
            own = options_of(self.s3, scheme) if scheme == "s3" else {}
            # The release knows better where its own remote is.
            return {**own, **settings}
        fitting = _FITTING.get(scheme, "")
        if connection["kind"] not in (fitting, "generic"):
            raise Refused("options", f"a {scheme or 'local'} remote needs a connection of another type")
        unknown = [name for name in connection["more"] if name not in known_options(scheme)]
        if unknown:
            raise Refused("options", f"DVC has no option {unknown[0]} for a {scheme or 'local'} remote")
        return {**settings, **options_of(connection, scheme)}

    def connection(self, name: str, url: str) -> str | None:
        known = self.connections.get(name)
        return known["connection"] if known else self.s3["connection"] if url.startswith("s3://") else None


def options_of(connection: Mapping[str, Any], scheme: str) -> dict[str, Any]:
    wanted = {**connection["options"], **connection["more"]}
    return {name: in_memory(value) for name, value in wanted.items() if name in known_options(scheme)}


def known_options(scheme: str) -> set[str]:
    return {str(name) for name in REMOTE_SCHEMAS.get(scheme, {})}


def in_memory(value: Any) -> Any:
    """The path of a file in memory, for an option that is a file's content."""
    if not isinstance(value, dict):
        return value
    descriptor = os.memfd_create("option")
    os.write(descriptor, value["content"].encode())
    return f"/proc/self/fd/{descriptor}"


def open_fs(settings: Mapping[str, Any]) -> tuple[Any, str]:
    cls, config, path = get_cloud_fs({}, **settings)
    return cls(**config), path
