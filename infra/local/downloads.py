"""Where downloads are kept that every checkout of this machine needs, so that a second one starts without the network."""

from __future__ import annotations

import os
from pathlib import Path


def shared_downloads() -> Path:
    """The folder `retrain` in the user's cache folder: that of XDG_CACHE_HOME, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retrain"
