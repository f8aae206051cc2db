"""Access to the release's own DVC remotes: the options that a connection gives a remote. They have secrets, and are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A text, a number or a switch; {"content": "<text>"} is a file that exists in memory only.
Option = str | int | bool | dict[str, str]


@dataclass(frozen=True)
class RemoteConnection:
    """A connection as options of a DVC remote.

    `kind` says which remotes it fits: `aws`, `http`, `ssh`, `gcp`, `azure`, `hdfs`, `oss`, or `generic` for all. `more` are further options,
    which must be options of that remote.
    """

    connection: str
    kind: str
    options: Mapping[str, Option] = field(default_factory=dict, repr=False)
    more: Mapping[str, Option] = field(default_factory=dict, repr=False)

    def to_document(self) -> dict[str, Any]:
        """The JSON that `infra/dvc/tracked` reads."""
        return {
            "connection": self.connection,
            "kind": self.kind,
            "options": dict(self.options),
            "more": dict(self.more),
        }


@dataclass(frozen=True)
class RemoteAccess:
    """The connections for the release's remotes, by the remote's name. `s3` is for S3 remotes without one of their own."""

    named: Mapping[str, RemoteConnection]
    s3: RemoteConnection
