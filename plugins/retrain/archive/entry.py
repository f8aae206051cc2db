"""What a ledger entry says of its outputs and parameters, whichever version of the deployment wrote it."""

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

_UP = re.compile(r"^(\.\.?/)+")  # out of a stage's own folder


def outputs(record: RunRecord, ledger: Ledger) -> list[Output]:
    """The outputs of a run that are on the remote."""
    if record.version_1 is None:
        return list(_description(record, ledger).stored)
    receipt = ledger.committed_receipt(record).by_key
    return [output for output in _outputs_of_version_1(record, ledger) if output.item.key in receipt]


def params(record: RunRecord, ledger: Ledger) -> dict[str, Any]:
    """The parameters of a run, each by `file:section.name`, without the file for params.yaml."""
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
    """What DVC said of the run's checkout; None for a run of version 1, which kept no such document."""
    return _description(record, ledger) if record.version_1 is None else None


def _description(record: RunRecord, ledger: Ledger) -> Description:
    url = f"{ledger.folder(record.spec)}/{DESCRIPTION}"
    return Description.from_json(ledger.file(record, DESCRIPTION), url)


def _outputs_of_version_1(record: RunRecord, ledger: Ledger) -> Iterator[Output]:
    """Version 1 kept no description. Its record has each path from the checkout's top, its dvc.lock the rest, by the stage's own folder."""
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
                    "One of the two was changed: see who may write there."
                )
            del left[path]
            yield Output(name, path, md5, int(out.get("size", 0)), bool(out.get("isexec")))


def _lock(record: RunRecord, ledger: Ledger) -> Mapping[str, Any]:
    url = f"{ledger.folder(record.spec)}/dvc.lock"
    try:
        stages: Mapping[str, Any] = yaml.safe_load(ledger.file(record, "dvc.lock"))["stages"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RecordError(f"{url} is no dvc.lock ({error!r}). Somebody else wrote it; see who may.") from error
    return stages


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A stage that names a whole section has it nested in dvc.lock: its single values, as `section.name`."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
