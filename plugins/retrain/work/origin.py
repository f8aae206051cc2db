"""A Git origin with the access that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Origin:
    """The address of a repository, without a login, and the variables by which Git may read it and its submodules.

    The variables hold secrets, or name files with secrets; they are never printed.
    """

    url: str
    access: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.url
