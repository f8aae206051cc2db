"""The raw objects that a run reads, as they are in S3 now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.run_settings import RunSettings
from retrain.run import manifest, partition
from retrain.run.landed import LandingRule
from retrain.run.manifest import Manifest
from retrain.store import raw_landing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


def landed_manifest(client: S3Client, deployment: Deployment, day: str, settings: RunSettings) -> Manifest:
    """The manifest of the window that ends with `day` (YYYY-MM-DD), with the objects that have landed until now.

    It is empty for a pipeline whose stages fetch all their data themselves.

    Raises:
        NotLandedError: the day itself has not landed.
        NoRawDataError: it has only its marker.
        PartitionError: `day` is not a date.
        StoreError: S3 refused or did not answer.
    """
    raw = deployment.raw
    if raw is None:
        return Manifest(deployment.pipeline, day, "", (), settings)
    days, rule = partition.window(day, raw.window_days), LandingRule.of(raw)
    listing, now = raw_landing.listing_of(client, raw.url, rule, days)
    found = manifest.of_listing(deployment.pipeline, day, raw.url, days, listing, now, rule, settings)
    log.info("%s: %d of %d days landed", day, found.days, len(days))
    return found
