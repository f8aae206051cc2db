"""The shared volume: it can be written, and has room for a run of each pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from retrain.doctor.finding import Finding, ok, unknown, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import DiskFullError
from retrain.work import workspace


def check(here: Surroundings) -> Iterator[Finding]:
    """Write a file and remove it; compare the free space with what the pipelines' limits ask for."""
    if not here.environment.get("RETRAIN_HOME"):
        yield unknown("shared volume", "RETRAIN_HOME is not set", "Run it in a container of Airflow's.")
        return
    home = workspace.home()
    try:
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-") as file:
            file.write(b"written")
    except OSError as error:
        yield wrong(
            "shared volume",
            f"{home} cannot be written: {error.strerror}",
            "Give the folder to the containers' user (50000), and see that the volume is mounted: `mount | grep retrain`.",
        )
        return
    needed = max((each.limits.min_free_disk_mb for each in here.deployments), default=0)
    try:
        workspace.require_space(home, needed)
    except DiskFullError as error:
        yield wrong("shared volume", str(error), "infra/docs/housekeeping.md says what may be removed.")
        return
    yield ok("shared volume", f"{home} can be written, and has the {needed} MB that a run needs")
