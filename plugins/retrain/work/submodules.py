"""The submodules of a checkout: where each comes from, and which of them no run may fetch. Names and addresses are the release's own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from retrain.deployment.git_address import parsed
from retrain.work.errors import SubmoduleRefusedError
from retrain.work.origin import Origin

_KEY = re.compile(r"submodule\.(?P<name>.+)\.(?P<key>path|url|update)", re.DOTALL)
_HOW = "Correct it in .gitmodules, in a new release."


@dataclass(frozen=True)
class Submodule:
    """A submodule that is fetched: its `path` in the checkout, its origin, and the commit that is pinned there."""

    path: str
    origin: Origin
    commit: str


def declared(settings: Mapping[str, str], pinned: Mapping[str, str], origin: Origin) -> list[Submodule]:
    """The submodules of a commit, sorted by path.

    One that .gitmodules excludes with `update = none` is left out, and so is a pinned commit without an address, which Git does not
    fetch either.

    Args:
        settings: the keys and values of the commit's .gitmodules; empty if it has none.
        pinned: the pinned commits by path.
        origin: that of the repository, against which relative addresses are resolved.

    Raises:
        SubmoduleRefusedError: an address or a path is one that no run may use; the sentence names it.
    """
    sections: dict[str, dict[str, str]] = {}
    for name, value in settings.items():
        if found := _KEY.fullmatch(name):
            sections.setdefault(found["name"], {})[found["key"]] = value
    submodules = []
    for section in sections.values():
        path = section.get("path", "")
        _require_inside(path)
        if "url" in section and section.get("update") != "none" and path in pinned:
            submodules.append(Submodule(path, _origin(section["url"], path, origin), pinned[path]))
    return sorted(submodules, key=lambda each: each.path)


def _require_inside(path: str) -> None:
    parts = path.split("/")
    if not path or posixpath.isabs(path) or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise SubmoduleRefusedError(f"The submodule path {path!r} does not stay inside the checkout. {_HOW}")
    if path.startswith("-") or not path.isprintable():
        raise SubmoduleRefusedError(
            f"The submodule path {path!r} begins like an option, or has a control character. {_HOW}"
        )


def _origin(url: str, path: str, origin: Origin) -> Origin:
    own = parsed(origin.url)
    whole = _resolved(url, path, origin.url) if url.startswith(("./", "../")) else url
    address = parsed(whole)
    if address is None:
        raise SubmoduleRefusedError(
            f"The submodule {path} has the address {_shown(url)}, which is no http, https, ssh or git address. {_HOW}"
        )
    if address.has_secret:
        raise SubmoduleRefusedError(
            f"The address of the submodule {path} on {address.host} has a password or a token in it. Remove it in a new release, and "
            "name an Airflow connection in repository.connection of the pipeline's file."
        )
    if address.scheme == "file" and (own is None or own.scheme != "file"):
        raise SubmoduleRefusedError(
            f"The submodule {path} has the address {_shown(url)}, a folder of this machine, which a release may not read. {_HOW}"
        )
    return origin.other(whole)


def _resolved(url: str, path: str, base: str) -> str:
    """A relative address, resolved as Git does: each `../` takes the last part off the repository's own address."""
    whole, rest = base.rstrip("/"), url
    while rest.startswith(("./", "../")):
        if rest.startswith("./"):
            rest = rest[2:]
            continue
        rest = rest[3:]
        cut = max(whole.rfind("/"), whole.rfind(":"))
        whole = whole[:cut] if cut > 0 else ""
    separator = ":" if ":" in base and "://" not in base and ":" not in whole else "/"
    found, own = parsed(f"{whole}{separator}{rest}"), parsed(base)
    if not whole or not rest or found is None or own is None or not found.is_at(own):
        raise SubmoduleRefusedError(
            f"The submodule {path} has the relative address {_shown(url)}, which leads above the server of {base}. {_HOW}"
        )
    return f"{whole}{separator}{rest}"


def _shown(url: str) -> str:
    """An address as far as it may be quoted: without anything that could be a secret before an @."""
    return repr(re.sub(r"//[^/@]*@", "//...@", url[:200]))
