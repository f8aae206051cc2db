"""Requirements with fixed versions, as a lock of Poetry or Pipenv gives them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LockedRequirements:
    """The packages that a lock gives for one Python: its requirements, and where they come from.

    `lines` are requirements with their hashes; `paths` are those that are files or folders, relative to the folder of the lock.
    `indexes` are the addresses of further indexes; `names` gives their names, by address.
    """

    lines: tuple[str, ...]
    paths: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of a requirements file."""
        return "\n".join([*(f"--extra-index-url {index}" for index in self.indexes), *self.lines, ""])
