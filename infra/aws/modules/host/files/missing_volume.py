"""What runs while the shared volume is missing: the services that do not need it, and the watch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WATCH = "alerts"


def without_volume(document: Mapping[str, Any], folder: Path, instead: Path) -> dict[str, Any]:
    """The document with the services that do not mount `folder`, and with the watch, which gets the folder `instead`.

    The watch's memory of open incidents is on the volume. In the other folder it begins anew, and reports again what still exists.
    """
    changed = copy.deepcopy(dict(document))
    services = changed["services"]
    for volume in services.get(_WATCH, {}).get("volumes", ()):
        if volume.get("source") == str(folder):
            volume["source"] = str(instead)
    left_out = {
        name
        for name, service in services.items()
        if str(folder) in [volume.get("source") for volume in service.get("volumes", ())]
    }
    while (
        dependent := {name for name, service in services.items() if left_out & set(service.get("depends_on") or {})}
        - left_out
    ):
        left_out |= dependent
    changed["services"] = {name: service for name, service in services.items() if name not in left_out}
    return changed
