"""Which packages requirements name, and which of them with a fixed version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def names(requirements: Iterable[str]) -> frozenset[str]:
    """The canonical names of the requirements that name a package."""
    return frozenset(name for name, _ in _parsed(requirements))


def pinned(requirements: Iterable[str]) -> frozenset[str]:
    """The canonical names of the requirements with a fixed version or an address."""
    return frozenset(name for name, each in _parsed(requirements) if is_fixed(each))


def is_fixed(requirement: Requirement) -> bool:
    """True for a requirement with one version alone, or with an address."""
    exact = (each for each in requirement.specifier if each.operator in ("==", "==="))
    return bool(requirement.url) or any("*" not in each.version for each in exact)


def _parsed(requirements: Iterable[str]) -> Iterator[tuple[str, Requirement]]:
    for text in requirements:
        with suppress(InvalidRequirement):  # an address alone, or an option; uv says what is wrong with another
            each = Requirement(text)
            yield str(canonicalize_name(each.name)), each
