"""MLflow's records again after it lost them, from nothing but the ledger and the store. It only adds: a second time does nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retrain import dvc, restore, tracked_run
from retrain.deployment import Deployment
from retrain.errors import RetrainError, TrackingError
from retrain.ledger import Ledger
from retrain.remote import Remote
from retrain.run_record import RunRecord
from retrain.tracked_run import TrackedRun
from retrain.tracking import Tracking

# A version's number is MLflow's own and cannot be asked for: what it was called in messages and promotions is a tag.
RECORDED_VERSION = "recorded_version"
PROMOTIONS = "promotions"
_AT_ONCE = 8
_DOCUMENTS = ("dvc.yaml", "dvc.lock", "run.yaml", "manifest.json")


@dataclass(frozen=True)
class Lost:
    """A record that MLflow does not hold whole; `run_id` where its run is there and something of it is not."""

    record: RunRecord
    run_id: str | None


@dataclass(frozen=True)
class Told:
    """A run that MLflow holds again, as which version it was recorded, and what the store never had of it."""

    partition: str
    run_key: str
    run_id: str
    version: str | None
    recorded_version: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A run that cannot be told again, and why."""

    partition: str
    run_key: str
    why: str


@dataclass(frozen=True)
class Alias:
    """Where the champion's alias is now. `well` unless the ledger names a champion and there is none."""

    well: bool
    said: str


def plan(records: Iterable[RunRecord], tracking: Tracking, deployment: Deployment) -> list[Lost]:
    """The records that MLflow does not hold whole, in the order of their recording, so that versions count as they did.

    A run is whole with its four documents' folder, its model's folder, and its model version. One request a finished run.
    """
    known = sorted(records, key=lambda record: (record.recorded_at, int(_version(record) or 0), record.partition))
    held = tracking.finished(deployment.tracking.experiment, deployment.tracking.model)

    def lost(record: RunRecord) -> Lost | None:
        found, has_model = held.get(record.run_key), _version(record) is not None and deployment.tracking.model
        if found is None:
            return Lost(record, None)
        whole = (found.model_version or not has_model) and tracking.has_artifacts(
            found.run_id, ["run", "model"] if has_model else ["run"]
        )
        return None if whole else Lost(record, found.run_id)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [each for each in pool.map(lost, known) if each is not None]


def rebuild(
    losses: Sequence[Lost],
    tracking: Tracking,
    deployment: Deployment,
    ledger: Ledger,
    remote: Remote,
    *,
    scratch: Path | None = None,
    progress: restore.Progress = lambda _done, _total: None,
) -> Iterator[Told | Failed]:
    """Tell MLflow each of these runs. One whose documents or objects are gone is passed over, with the reason.

    Raises:
        TrackingError: MLflow itself does not answer. What was told stays; a second time goes on from there.
    """
    for done, loss in enumerate(losses, start=1):
        outcome: Told | Failed
        try:
            outcome = _tell(loss, tracking, deployment, ledger, remote, scratch)
        except TrackingError:
            raise
        except RetrainError as error:
            outcome = Failed(loss.record.partition, loss.record.run_key, f"{type(error).__name__}: {error}")
        progress(done, len(losses))
        yield outcome


def _tell(
    loss: Lost, tracking: Tracking, deployment: Deployment, ledger: Ledger, remote: Remote, scratch: Path | None
) -> Told:
    record, version = loss.record, _version(loss.record)
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=scratch) as folder:
        run, left_out = _bring_back(record, deployment, ledger, remote, Path(folder))
        if loss.run_id is not None:
            tracking.reopen(loss.run_id)
        recorded = tracked_run.record(
            tracking,
            deployment,
            run,
            at=datetime.fromisoformat(record.recorded_at),
            version_tags={RECORDED_VERSION: version} if version else None,
        )
    return Told(record.partition, record.run_key, recorded.run_id, recorded.model_version, version, left_out)


def _bring_back(
    record: RunRecord, deployment: Deployment, ledger: Ledger, remote: Remote, folder: Path
) -> tuple[TrackedRun, tuple[str, ...]]:
    """What MLflow holds of a run, below `folder`: documents from the ledger, model and reports from the store, no data."""
    checkout, receipt = folder / "checkout", folder / "receipt.json"
    checkout.mkdir()
    for name in _DOCUMENTS:
        (checkout / name).write_bytes(ledger.file(record, name))
    proven = ledger.committed_receipt(record)
    receipt.write_text(proven.to_json(), encoding="utf-8")
    lock, declared = dvc.Lock.read(checkout), dvc.Declared.read(checkout)
    patterns = (*declared.metrics, *declared.plots, *declared.models, *dvc.exactly(tracked_run.reports_of(deployment)))
    stored = lock.outputs_in(proven.by_key)
    wanted = dvc.holding(patterns, stored)
    restore.fetch(remote, wanted, restore.require_files(remote, wanted), checkout)
    run = TrackedRun(
        record.spec,
        record.dag_run,
        record.mode,
        record.environment,
        record.metrics,
        ledger.manifest(record.spec).root,
        replace(lock, outputs=tuple(wanted)),
        declared,
        checkout,
        receipt,
    )
    return run, tuple(each.path for each in dvc.holding(patterns, lock.outputs) if each not in stored)


def champion(tracking: Tracking, model: str, ledger: Ledger, pipeline: str) -> Alias:
    """Set the champion's alias as the newest promotion says, found by its run key. An alias that is there stays."""
    newest = ledger.newest_daily_event(pipeline, PROMOTIONS)
    if newest is None:
        return Alias(well=True, said="No promotion is in the ledger, so there is no champion.")
    partition, promotion = newest[0][: len("YYYY-MM-DD")], newest[1]
    run_key = str(promotion["run_key"])
    named = f"{partition} ({run_key[:12]})"
    present = tracking.champion(model)
    if present is not None:
        said = f"The champion is version {present['version']}, of {present.get('partition')}."
        if present.get("run_key") != run_key:
            said = f"{said} The newest promotion in the ledger is of {named}: the alias was left where it is."
        return Alias(well=True, said=said)
    version = tracking.version_of(model, run_key)
    if version is None:
        return Alias(
            well=False,
            said=f"There is no champion: the newest promotion is of {named}, of which MLflow has no version. Rebuild that run too.",
        )
    tracking.promote(model, version)
    return Alias(
        well=True,
        said=f"The champion is version {version} again, of {named}; promoted as version {promotion['to']}.",
    )


def _version(record: RunRecord) -> str | None:
    """The number that the record's model version had."""
    number = record.mlflow.get("model_version")
    return None if number is None else str(number)
