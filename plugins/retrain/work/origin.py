"""A Git origin with the access that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from retrain.deployment.git_address import parsed, without_user


@dataclass(frozen=True)
class Origin:
    """The address of a repository, and the variables by which Git may read it and its submodules.

    The variables name files with secrets, which exist only while the origin is open; they are never printed. Without an Airflow
    `connection` there are none, and Git finds its access as this machine is configured.
    """

    url: str
    connection: str = ""
    access: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.url

    @property
    def described(self) -> str:
        """The origin with its access, for an error."""
        return f"{self.url}, read with the connection {self.connection}" if self.connection else self.url

    def other(self, url: str) -> Origin:
        """The origin of another repository. It has the access of this one only on the same server.

        Where this one is read with a token, an SSH address on its host is read through the same server instead.
        """
        own, its = parsed(self.url), parsed(url)
        if own is None or its is None or not self.connection or own.host != its.host:
            return Origin(url)
        if own.is_http and its.scheme == "ssh":
            return replace(self, url=f"{own.base}/{its.path.lstrip('/')}")
        return replace(self, url=without_user(url)) if own.is_at(its) else Origin(url)
