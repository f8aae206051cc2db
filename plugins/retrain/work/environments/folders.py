"""The folders in which installed environments and remembered resolutions are looked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


def searched(environments: Path) -> Iterator[Path]:
    """RETRAIN_ENVIRONMENTS, which came with the worker's image, if it is set; then `environments`. Both absolute."""
    shipped = os.environ.get("RETRAIN_ENVIRONMENTS")
    if shipped:
        yield Path(shipped).absolute()
    yield environments.absolute()


def note_use(file: Path) -> bool:
    """Set the time of the last use of an environment or a resolution; returns False if `file` does not exist any more.

    A folder that this process may not write to keeps the old time: the housekeeping may then remove what only this process uses.
    """
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("the use of %s cannot be noted: %s", file, error)
    return True
