"""Rebuilding what MLflow has lost, from the ledger and the DVC remote. It only adds: a second rebuild does nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retrain.archive import entry, recorded_locks
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import RetrainError, TrackingError
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, promotions
from retrain.store.fetch import Progress, fetch, require_files
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote
from retrain.tracking import tracked_run
from retrain.tracking.server import MlflowServer
from retrain.tracking.tracked_run import TrackedRun
from retrain.work.dvc.description import Description

# MLflow numbers versions itself. The number that messages and promotions used is kept as a tag.
RECORDED_VERSION = "recorded_version"
_AT_ONCE = 8
_DOCUMENTS = ("run.yaml", "manifest.json")

# Makes DVC's description of a run whose entry has none, in an empty folder.
Describe = Callable[[RunRecord, Path], Description]


@dataclass(frozen=True)
class MirroredLedger:
    """A pipeline's ledger and remote, and the MLflow server that mirrors them."""

    deployment: Deployment
    ledger: Ledger
    remote: Remote
    tracking: MlflowServer


@dataclass(frozen=True)
class Lost:
    """A recorded run that MLflow does not hold completely.

    `run_id`: its MLflow run, if that exists and lacks something. `version`: the number that its model version had.
    """

    record: RunRecord
    run_id: str | None
    version: str | None


@dataclass(frozen=True)
class Rebuilt:
    """A run that MLflow holds again.

    `version`: its model version now. `recorded_version`: the number that this had before. `left_out`: paths of files that were never
    stored on the remote.
    """

    partition: str
    run_key: str
    run_id: str
    version: str | None
    recorded_version: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class NotRebuilt:
    """A run that could not be rebuilt, and why."""

    partition: str
    run_key: str
    why: str


@dataclass(frozen=True)
class ChampionAlias:
    """The state of the champion's alias, as a sentence. `well` is False if the ledger names a champion and MLflow has none."""

    well: bool
    said: str


def plan(
    records: Sequence[RunRecord], mirrored: MirroredLedger, progress: Progress = lambda _done, _total: None
) -> list[Lost]:
    """The records that MLflow does not hold completely, in the order of recording, so that model versions are numbered as before.

    A complete run has artifacts in the folders `run` and `model`, and its model version. Costs two or three requests per run.
    `progress` is called with the runs done and all runs.

    Raises:
        TrackingError: MLflow does not answer.
    """
    ledger, tracking, tracked = mirrored.ledger, mirrored.tracking, mirrored.deployment.tracking
    held = tracking.finished(tracked.experiment, tracked.model)

    def lost(record: RunRecord) -> Lost | None:
        where = ledger_facts.mirrored(ledger, record, first=True)
        found, version = held.get(record.run_key), where.model_version if where else None
        has_model = tracked.model is not None and (version is not None or where is None)
        if found is None:
            return Lost(record, None, version)
        whole = (found.model_version or not has_model) and tracking.has_artifacts(
            found.run_id, ["run", "model"] if found.model_version else ["run"]
        )
        return None if whole else Lost(record, found.run_id, version)

    found: list[Lost] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, each in enumerate(pool.map(lost, records), start=1):
            found += [each] if each is not None else []
            progress(done, len(records))
    return sorted(found, key=lambda loss: (loss.record.recorded_at, int(loss.version or 0), loss.record.partition))


def rebuild(
    losses: Sequence[Lost],
    mirrored: MirroredLedger,
    describe: Describe,
    *,
    scratch: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Iterator[Rebuilt | NotRebuilt]:
    """Log each of these runs in MLflow again. A run whose documents or objects are missing is skipped, with the reason.

    Args:
        losses: the runs, as `plan` returns them.
        mirrored: where to read and to write.
        describe: makes the description of a run whose entry has none.
        scratch: the folder in which files are collected and removed again; the system's by default.
        progress: called with the runs done and all runs.

    Raises:
        TrackingError: MLflow does not answer. What was logged stays; the next rebuild continues from there.
    """
    for done, loss in enumerate(losses, start=1):
        outcome: Rebuilt | NotRebuilt
        try:
            outcome = _log_again(loss, mirrored, describe, scratch)
        except TrackingError:
            raise
        except RetrainError as error:
            outcome = NotRebuilt(loss.record.partition, loss.record.run_key, f"{type(error).__name__}: {error}")
        progress(done, len(losses))
        yield outcome


def _log_again(loss: Lost, mirrored: MirroredLedger, describe: Describe, scratch: Path | None) -> Rebuilt:
    record, tracking = loss.record, mirrored.tracking
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=scratch) as folder:
        run, left_out = _collect(record, mirrored, describe, Path(folder))
        if loss.run_id is not None:
            tracking.reopen(loss.run_id)
        where = tracked_run.record(
            tracking,
            mirrored.deployment,
            run,
            at=datetime.fromisoformat(record.recorded_at),
            version_tags={RECORDED_VERSION: loss.version} if loss.version else None,
        )
    ledger_facts.mirror(mirrored.ledger, record.spec, where)
    return Rebuilt(record.partition, record.run_key, where.run_id, where.model_version, loss.version, left_out)


def _collect(
    record: RunRecord, mirrored: MirroredLedger, describe: Describe, folder: Path
) -> tuple[TrackedRun, tuple[str, ...]]:
    """Write the files that MLflow holds of a run to `folder`, and name those that were never stored.

    Documents come from the ledger, the model and the reports from the remote.
    """
    ledger, checkout, receipt = mirrored.ledger, folder / "checkout", folder / "receipt.json"
    checkout.mkdir()
    for name in _DOCUMENTS:
        (folder / name).write_bytes(ledger.file(record, name))
    locks = recorded_locks.recorded(record, ledger)
    recorded_locks.write(locks, checkout)
    receipt.write_text(ledger.committed_receipt(record).to_json(), encoding="utf-8")
    described = entry.description(record, ledger) or describe(record, folder / "described")
    paths = tracked_run.paths_of(mirrored.deployment, described)
    wanted = described.within(paths, entry.outputs(record, ledger))
    fetch(mirrored.remote, wanted, require_files(mirrored.remote, wanted), checkout)
    run = TrackedRun(
        record.spec,
        record.dag_run,
        record.mode,
        record.environment,
        record.metrics,
        ledger.manifest(record.spec).root,
        replace(tracked_run.present_in(described, checkout), artifacts=described.artifacts),
        checkout,
        (*(folder / name for name in _DOCUMENTS), receipt),
        tuple(locks),
    )
    return run, tuple(
        path for path in described.metrics | dict.fromkeys(described.plots) if not (checkout / path).exists()
    )


def champion(tracking: MlflowServer, model: str, ledger: Ledger, pipeline: str) -> ChampionAlias:
    """Set the champion's alias to the model of the newest promotion in the ledger. An existing alias is never moved.

    Raises:
        TrackingError: MLflow does not answer.
        RecordError: the event of the promotion cannot be read.
    """
    newest = promotions.newest(ledger, pipeline)
    if newest is None:
        return ChampionAlias(well=True, said="No promotion is in the ledger, so there is no champion.")
    run_key = newest.run_key
    named = f"{newest.partition} ({run_key[:12]})"
    present = tracking.champion(model)
    if present is not None:
        said = f"The champion is version {present['version']}, of {present.get('partition')}."
        if present.get("run_key") != run_key:
            said = f"{said} The newest promotion in the ledger is of {named}: the alias was left where it is."
        return ChampionAlias(well=True, said=said)
    version = tracking.version_of(model, run_key)
    if version is None:
        return ChampionAlias(
            well=False,
            said=f"There is no champion: the newest promotion is of {named}, of which MLflow has no version. Rebuild that run too.",
        )
    tracking.promote(model, version)
    return ChampionAlias(
        well=True,
        said=f"The champion is version {version} again, of {named}; promoted as version {newest.version}.",
    )
