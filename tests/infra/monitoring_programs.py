"""The programs of the monitoring, for tests without containers: those on the PATH, or Debian's packages unpacked below `.local`."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest
from loopback import ROOT

sys.path.insert(0, str(ROOT / "tests" / "compose"))

from engine import NoEngineError, unpacked

_STATE = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local") / "test-monitoring"
_SUITE = "bookworm"
# Program -> the Debian packages that it needs; the first one has it.
_PACKAGES = {
    "prometheus": ("prometheus",),
    "promtool": ("prometheus",),
    "prometheus-alertmanager": ("prometheus-alertmanager",),
    "amtool": ("prometheus-alertmanager",),
    "prometheus-node-exporter": ("prometheus-node-exporter",),
    "prometheus-redis-exporter": ("prometheus-redis-exporter",),
    "prometheus-postgres-exporter": ("prometheus-postgres-exporter",),
    "redis-server": ("redis-tools", "liblzf1", "libjemalloc2"),
}
# Debian's redis-server is a link to this file, which decides by the name that it is called by.
_FILES = {"redis-server": "redis-check-rdb"}


@cache
def program(name: str) -> str:
    """The path of a program. Skips the test, with the reason, where it is not and cannot be unpacked."""
    if found := shutil.which(name):
        return found
    try:
        first, *_ = [unpacked(package, _SUITE, _STATE) for package in _PACKAGES[name]]
    except (NoEngineError, OSError) as error:
        pytest.skip(f"NOT TRIED: {name} is missing: {error}")
    return str(first / "usr" / "bin" / _FILES.get(name, name))


def libraries(name: str) -> dict[str, str]:
    """The variables with which an unpacked program finds its unpacked libraries."""
    program(name)  # on a fresh machine it is unpacked by this
    folders = [_STATE / "packages" / package / "usr" / "lib" for package in _PACKAGES[name][1:]]
    found = [str(path) for folder in folders for path in (folder, *folder.glob("*-linux-gnu")) if path.is_dir()]
    return {"LD_LIBRARY_PATH": ":".join(found)} if found else {}


def alertmanager() -> list[str]:
    """The command of Alertmanager. Debian's looks for its templates in /usr/share: an unpacked one gets its own /usr/share."""
    found = program("prometheus-alertmanager")
    share = _STATE / "packages" / "prometheus-alertmanager" / "usr" / "share"
    if not Path(found).is_relative_to(_STATE):
        return [found]
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', str(share), found]
