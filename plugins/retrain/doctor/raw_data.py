"""The raw data of the pipelines: the objects that are there fit `raw.partition` and `raw.marker`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from retrain.deployment.sections import Raw
from retrain.doctor.finding import Finding, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import StoreError
from retrain.run.raw_layout import RawLayout
from retrain.store import s3

_LOOKED_AT = 1000  # objects: one page of a listing
_FEW = 3  # days: the newest of fewer may still be landing


def check(here: Surroundings) -> Iterator[Finding]:
    """The first objects of each pipeline's raw data. One request for each pipeline."""
    from retrain.airflow.connections import Aws

    for deployment in here.deployments:
        if deployment.raw is None:
            continue
        thing, raw = f"raw data of {deployment.pipeline}", deployment.raw
        try:
            listed = s3.entries(Aws(deployment.aws_conn_id).asking("s3"), raw.url, prefix=RawLayout.of(raw).head)
            yield judged(thing, raw, [each.key for each in islice(listed, _LOOKED_AT)])
        except StoreError as error:
            yield wrong(thing, str(error), "Correct raw.url, or the role (infra/aws/modules/roles).")


def judged(thing: str, raw: Raw, keys: Sequence[str]) -> Finding:
    """What the first objects say about the layout. `keys` are below `raw.url`."""
    layout, place = RawLayout.of(raw), f"{raw.url}/{raw.partition}"
    days = {day for key in keys if (day := layout.day_of(key)) is not None}
    if not keys:
        return unknown(thing, f"there is no object yet that could fit {place}")
    if not days:
        seen, fix = (
            f"none of the first {len(keys)} objects fits {place}, for example {keys[0]}",
            "Correct raw.partition or raw.url",
        )
        if len(keys) >= _LOOKED_AT:  # the data may lie behind them
            return warning(
                thing, seen, f"{fix} in the pipeline's file, if the data does not follow in the order of the keys."
            )
        return wrong(thing, seen, f"{fix} in the pipeline's file.")
    in_folders = layout.marker is not None and layout.marker_range(sorted(days)) is None
    if in_folders and len(days) >= _FEW and not any(layout.marked(key) for key in keys):
        return warning(
            thing,
            f"{len(days)} days were looked at, and none has a marker {raw.marker}: a run would wait for it until it gives up",
            "Correct raw.marker in the pipeline's file; marker: null with quiet_minutes needs none.",
        )
    return ok(thing, f"{min(days)} is the first day")
