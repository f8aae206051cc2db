"""The outputs and parameters of a ledger entry, for entries of every version."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from retrain.errors import RecordError
from retrain.run.run_record import RunRecord
from retrain.store.ledger import DESCRIPTION, Ledger
from retrain.work.dvc.description import Description
from retrain.work.dvc.outputs import Output

_UP = re.compile(r"^(\.\.?/)+")  # the way out of a stage's own folder


def outputs(record: RunRecord, ledger: Ledger) -> list[Output]:
    """The outputs of a run that are on the remote.

    Raises:
        RecordError: a document of the entry cannot be read, or dvc.lock and the record name different outputs.
    """
    if record.version_1 is None:
        return list(_description(record, ledger).stored)
    receipt = ledger.committed_receipt(record).by_key
    return [output for output in _outputs_of_version_1(record, ledger) if output.item.key in receipt]


def params(record: RunRecord, ledger: Ledger) -> dict[str, Any]:
    """The parameters of a run by `file:section.name`, or `section.name` for params.yaml.

    Raises:
        RecordError: a document of the entry cannot be read.
    """
    if record.version_1 is None:
        return _description(record, ledger).params
    found: dict[str, Any] = {}
    for stage in _lock(record, ledger).values():
        for file, values in stage.get("params", {}).items():
            place = _UP.sub("", posixpath.normpath(file))
            prefix = "" if place == "params.yaml" else f"{place}:"
            found.update({f"{prefix}{name}": value for name, value in _leaves(values)})
    return found


def description(record: RunRecord, ledger: Ledger) -> Description | None:
    """DVC's description of the run's checkout; None for an entry of version 1, which has none."""
    return _description(record, ledger) if record.version_1 is None else None


def _description(record: RunRecord, ledger: Ledger) -> Description:
    url = f"{ledger.folder(record.spec)}/{DESCRIPTION}"
    return Description.from_json(ledger.file(record, DESCRIPTION), url)


def _outputs_of_version_1(record: RunRecord, ledger: Ledger) -> Iterator[Output]:
    """The outputs of an entry without a description.

    Its record has the paths from the top of the checkout; dvc.lock has all else, with paths from each stage's folder.
    """
    left = dict(record.outputs)
    for name, stage in _lock(record, ledger).items():
        for out in stage.get("outs", ()):
            written, md5 = str(out["path"]), str(out["md5"])
            inside = _UP.sub("", posixpath.normpath(written))
            path = next(
                (
                    path
                    for path, recorded in left.items()
                    if recorded == md5 and (path == inside or path.endswith(f"/{inside}"))
                ),
                None,
            )
            if path is None:
                raise RecordError(
                    f"dvc.lock of {ledger.folder(record.spec)} has {written} (stage {name}), its record has no such output. "
                    "One of the two was changed: check who may write to the ledger."
                )
            del left[path]
            yield Output(name, path, md5, int(out.get("size", 0)), bool(out.get("isexec")))


def _lock(record: RunRecord, ledger: Ledger) -> Mapping[str, Any]:
    url = f"{ledger.folder(record.spec)}/dvc.lock"
    try:
        stages: Mapping[str, Any] = yaml.safe_load(ledger.file(record, "dvc.lock"))["stages"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RecordError(
            f"{url} is not a dvc.lock ({error!r}). Another program wrote it: check who may write to the ledger."
        ) from error
    return stages


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of a section, which is nested in dvc.lock if a stage names it whole, as `section.name`."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
