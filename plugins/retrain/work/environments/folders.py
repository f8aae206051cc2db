"""The folders in which installed environments and remembered resolutions are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def searched(environments: Path) -> Iterator[Path]:
    """RETRAIN_ENVIRONMENTS, which came with the worker's image, if it is set; then `environments`. Both absolute."""
    shipped = os.environ.get("RETRAIN_ENVIRONMENTS")
    if shipped:
        yield Path(shipped).absolute()
    yield environments.absolute()
