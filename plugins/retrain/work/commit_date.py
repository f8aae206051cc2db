"""When a checkout's commit was made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from retrain.work import git_program


def committed_at(checkout: Path) -> datetime:
    """The committer date of a checkout's commit, in UTC.

    Raises:
        OriginError: Git failed.
    """
    said = git_program.read("log", "-1", "--format=%ct", cwd=checkout)
    return datetime.fromtimestamp(int(said.strip()), UTC)
