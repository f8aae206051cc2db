"""Addresses of Git repositories: their parts, and which of them may be given to Git."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HTTP = ("http", "https")
_SCHEMES = (*_HTTP, "ssh", "git", "file")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]/]+\]|[^@/:\[\]]+):(?P<path>[^:].*)")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|\[?[0-9A-Fa-f:.]+\]?")
_TOKEN = re.compile(r"(?:gh[pousr]_|github_pat_|glpat-|x-oauth|x-token)", re.IGNORECASE)


@dataclass(frozen=True)
class GitAddress:
    """The parts of an address. `scheme` is http, https, ssh, git, or file for a folder, which has no `host`."""

    scheme: str
    path: str
    host: str = ""
    port: int | None = None
    user: str = ""
    has_password: bool = False

    @property
    def is_http(self) -> bool:
        return self.scheme in _HTTP

    @property
    def base(self) -> str:
        """Scheme, host and port, without a user and without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}"

    @property
    def has_secret(self) -> bool:
        """True if a password is in it, or a user that has the form of a token."""
        return self.has_password or (self.is_http and bool(_TOKEN.match(self.user)))

    def is_at(self, other: GitAddress) -> bool:
        """True if both are on the same server: scheme, host and port are equal."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)


def parsed(url: str) -> GitAddress | None:
    """The parts of an address as Git reads it: a URL, user@host:path, or a folder. None for one that Git must not be given.

    Those begin like an option, name a transport that starts programs, or have no host.
    """
    if not url.strip() or not url.isprintable() or url.startswith("-"):
        return None
    if "://" in url:
        return _of_url(url)
    if "::" in url.partition("/")[0]:
        return None
    short = _SCP.fullmatch(url)
    if short is None:
        return GitAddress("file", url)
    host, user = short["host"], short["user"] or ""
    if not _HOST.fullmatch(host) or user.startswith("-"):
        return None
    return GitAddress("ssh", short["path"], host.strip("[]").lower(), None, user)


def _of_url(url: str) -> GitAddress | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme, host, user = parts.scheme.lower(), parts.hostname or "", parts.username or ""
    if scheme not in _SCHEMES:
        return None
    if scheme == "file":
        return None if host else GitAddress("file", parts.path)
    if not _HOST.fullmatch(host) or user.startswith("-"):
        return None
    standard = {"http": 80, "https": 443, "ssh": 22, "git": 9418}[scheme]
    return GitAddress(
        scheme, parts.path, host.lower(), None if port == standard else port, user, parts.password is not None
    )


def without_user(url: str) -> str:
    """An http or https address without its user, which the access names; any other address as it is."""
    found = parsed(url)
    if found is None or not found.is_http or not found.user:
        return url
    return f"{found.base}{url.partition('://')[2].partition('@')[2].removeprefix(_authority(url))}"


def _authority(url: str) -> str:
    """Host and port as they are written in a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]
