"""Poetry's version constraints: `^1.2`, `~1.2`, `1.2.*`, `>=1,<2`, `<2 || >=3`."""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

_PART = re.compile(r"(?P<operator>\^|~(?!=)|[<>=!~]=?=?)?\s*(?P<version>[^\s,|^~<>=!]+)")


def alternatives(constraint: str) -> list[SpecifierSet]:
    """The specifiers of which a version must fit one. An empty one is fit by every version.

    Raises:
        InvalidSpecifier: it is no constraint of Poetry's.
    """
    return [SpecifierSet(",".join(_parts(each))) for each in re.split(r"\|\|?", constraint)]


def allows(constraint: str, version: str) -> bool:
    """True if a version, a pre-release too, fits a constraint. One that cannot be read allows none."""
    try:
        return any(each.contains(version, prereleases=True) for each in alternatives(constraint))
    except (InvalidSpecifier, InvalidVersion):
        return False


def _parts(constraint: str) -> list[str]:
    found = []
    for part in _PART.finditer(constraint):
        operator, version = part["operator"] or "", part["version"]
        if version == "*":
            continue
        if operator in ("^", "~"):
            found.append(f">={version},<{_next(operator, version)}")
        elif operator in ("", "=", "=="):
            found.append(f"=={version}")
        else:
            found.append(f"{operator}{version}")
    return found


def _next(operator: str, version: str) -> str:
    """The first version that `^` or `~` no longer allows."""
    try:
        release = Version(version).release
    except InvalidVersion as e:
        raise InvalidSpecifier(f"{operator}{version}") from e
    if operator == "~":
        kept = min(2, len(release))
    else:
        # ^ allows changes right of the first part that is not 0.
        kept = next((at for at, part in enumerate(release, 1) if part), len(release))
    return ".".join(str(part) for part in (*release[: kept - 1], release[kept - 1] + 1))
