"""A checkout prepared for its day: inputs laid, params set, and DVC's description of the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.run.manifest import Manifest
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import Dvc

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class LaidInput:
    """An input in the checkout: its path, its files and their size in bytes. `replaced` are the paths of the commit that it took away."""

    path: str
    files: int
    bytes: int
    replaced: tuple[str, ...]


@dataclass(frozen=True)
class SetParam:
    """A param that the run set, with the texts of the release's own value and of the run's."""

    file: str
    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Prepared:
    """A checkout that is ready for `dvc repro`, as DVC describes it."""

    description: Description
    inputs: tuple[LaidInput, ...] = ()
    params: tuple[SetParam, ...] = ()


@dataclass(frozen=True)
class RawObjects:
    """The raw objects of a pipeline: a client that reads them, and the folder of the cache that all runs share."""

    client: S3Client
    cache: Path


def prepare(checkout: Path, manifest: Manifest, dvc: Dvc, raw: RawObjects) -> Prepared:
    """Lay the manifest's inputs, set its params, and describe the checkout.

    Args:
        checkout: the checkout of the run's commit, with `run.yaml` and `manifest.json`.
        manifest: the raw objects and the settings of the run.
        dvc: DVC in that checkout, already configured.
        raw: where the raw objects come from.

    Raises:
        DescriptionError: DVC refuses the checkout.
        DvcError: the program that asks DVC failed or took too long.
    """
    return Prepared(dvc.describe())
