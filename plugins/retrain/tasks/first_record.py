"""The first record of a run, put in place of what a later attempt made, when a stage did not give the same bytes again."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrain.archive import recorded_locks, stage_differences
from retrain.errors import GoneError, LedgerConflictError, RecordError
from retrain.inputs.stage_graph import StageGraph
from retrain.results import Resolved
from retrain.run.run_record import RunRecord
from retrain.run.run_spec import RunSpec
from retrain.services import Services
from retrain.store import ledger_facts
from retrain.store.errors import RecordedOutputsGoneError
from retrain.store.fetch import OutputFile, fetch, require_files
from retrain.store.ledger import DESCRIPTION, Ledger
from retrain.tasks.reproduced_workspace import description_of
from retrain.work import pipeline_caches, workspace
from retrain.work.dvc.description import Description
from retrain.work.dvc.dvc_lock import dvc_lock_outputs
from retrain.work.dvc.outputs import Output
from retrain.work.workspace import Workspace

log = logging.getLogger(__name__)

_FILE = "not_repeatable.json"


@dataclass(frozen=True)
class NotRepeatable:
    """The stages of an attempt that gave other bytes than the first attempt of its run, and a sentence about them for people."""

    stages: tuple[str, ...]
    note: str


def known(place: Workspace) -> NotRepeatable | None:
    """What an earlier try of `record_run` found in this workspace; None if the first record was not needed."""
    try:
        document = json.loads((place.path / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return NotRepeatable(tuple(document["stages"]), document["note"])


def find(services: Services, run: Resolved, place: Workspace, kept: RunRecord) -> NotRepeatable:
    """Find the stages that did not repeat themselves, and note them in the ledger and in the workspace.

    Args:
        services: the services of the pipeline.
        run: the run.
        place: the workspace of an attempt with other outputs than the ledger's.
        kept: the record of the ledger.

    Raises:
        LedgerConflictError: a stage read something else than at the first time, which no other stage has made.
        RecordError: a document of the entry cannot be read, or does not fit its record.
        StoreError: S3 refused or did not answer.
    """
    ledger, computed = services.ledger, description_of(place)
    recorded, locks = _recorded(ledger, kept)
    graph = StageGraph.of(recorded)
    changed = stage_differences.differing(graph, kept.outputs, {out.path: out.md5 for out in computed.outputs})
    now = {path: text.encode() for path, text in recorded_locks.written(computed, place.project).items()}
    first = stage_differences.first_of(changed, graph, locks, now)
    for stage, name in stage_differences.other_inputs(first, graph, locks, now).items():
        raise LedgerConflictError(
            f"{ledger.folder(run.spec)} is committed with other outputs, and not because a stage does not repeat itself: {name} of stage "
            f"{stage} was another then. The kept entry stands. If the deployment prepares checkouts in another way now, run the day with a "
            "new release; else a stage changes a file that is none of its outputs: declare it in a new release."
        )
    new = ledger_facts.note_unrepeatable(ledger, run.spec, first, run.dag_run)
    found = NotRepeatable(tuple(sorted(first)), _sentence(kept, sorted(first), new))
    place.write(_FILE, json.dumps(asdict(found)))
    return found


def _sentence(kept: RunRecord, stages: list[str], new: Iterable[str]) -> str:
    named, one = ", ".join(stages), len(stages) == 1
    so = "gave other bytes than at the first time" if set(new) else "gave other bytes again, as noted before"
    return (
        f"{'Stage' if one else 'Stages'} {named} {so}, from the same inputs. The record of {kept.recorded_at} stands, and "
        "everything after it uses the recorded outputs."
    )


def put_back(services: Services, place: Workspace, spec: RunSpec, found: NotRepeatable) -> None:
    """Replace outputs, dvc.lock files and description in a workspace by the recorded ones. A second call changes nothing.

    Outputs that this attempt made with the recorded bytes stay. The others come from our store, each verified. Those that DVC does
    not store are removed; a metrics file in JSON is written again from the recorded numbers.

    Raises:
        RecordedOutputsGoneError: the store does not have them any more.
        TamperedError: an object in the store has other content than was recorded.
        DiskFullError: too little space is free on the volume.
        RecordError: a document of the entry cannot be read, or does not fit its record.
        StoreError: S3 refused or did not answer.
    """
    ledger, project = services.ledger, place.project
    recorded, locks = _recorded(ledger, ledger.recorded(spec))
    present = description_of(place)
    if present != recorded:  # it is written last
        workspace.require_space(workspace.home(), services.deployment.limits.min_free_disk_mb)
        changed = _others(recorded, present)
        stored = [out for out in changed if out.stored]
        files = _require_stored(services, spec, found, stored)
        for out in (*changed, *_others(present, recorded)):
            _remove(project, out.path)
        with pipeline_caches.in_use(services.pipeline):
            fetch(services.remote, stored, files, project)
            _move_objects(project / ".dvc" / "cache", pipeline_caches.dvc_cache(services.pipeline))
        _write_metrics(recorded, present, project)
        recorded_locks.write(locks, project)
        place.write(f"{DESCRIPTION}.new", recorded.to_json()).replace(place.description)
        log.info("%d outputs were replaced by the recorded ones", len(changed))


def _recorded(ledger: Ledger, record: RunRecord) -> tuple[Description, dict[str, bytes]]:
    """The recorded description and dvc.lock files, after a check that these and the record name the same outputs."""
    url = f"{ledger.folder(record.spec)}/{DESCRIPTION}"
    recorded = Description.from_json(ledger.file(record, DESCRIPTION), url)
    locks = recorded_locks.recorded(record, ledger)
    if {out.path: out.md5 for out in recorded.outputs} != record.outputs:
        raise RecordError(
            f"{url} has other outputs than the record beside it: one of the two was changed. Check who may write to the ledger."
        )
    locked = {md5 for text in locks.values() for _, _, md5 in dvc_lock_outputs(text.decode())}
    lost = [out.path for out in recorded.outputs if out.md5 not in locked]
    if lost:
        raise RecordError(
            f"No dvc.lock in {ledger.folder(record.spec)} has {lost[0]} as the record has it: one of the two was changed, or was "
            "recorded before every dvc.lock of a run was. Check who may write to the ledger."
        )
    return recorded, locks


def _others(one: Description, other: Description) -> list[Output]:
    """The outputs of the one description that the other does not have with the same bytes."""
    same = {(out.path, out.md5) for out in other.outputs}
    return [out for out in one.outputs if (out.path, out.md5) not in same]


def _require_stored(services: Services, spec: RunSpec, found: NotRepeatable, outputs: list[Output]) -> list[OutputFile]:
    try:
        return require_files(services.remote, outputs)
    except GoneError as error:
        pruned = ledger_facts.is_pruned(services.ledger, spec)
        why = "make prune has removed objects of it." if pruned else str(error)
        raise RecordedOutputsGoneError(
            f"{spec.partition} is recorded under this run key, but its outputs cannot be had again: {why} Now "
            f"{', '.join(found.stages)} gave other bytes. The entry stands as it is; nothing was registered or promoted. "
            "If the bucket keeps versions, restore the objects there. Else make the stages repeatable in a new release, and run "
            "the day with it."
        ) from error


def _remove(project: Path, path: str) -> None:
    """Remove an output of this attempt. One outside the project is not ours to remove."""
    place = project / path
    if not place.parent.resolve().is_relative_to(project.resolve()):
        return
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _move_objects(own: Path, shared: Path) -> None:
    """Move the fetched objects from the cache of a checkout to that of the pipeline, from which a later `push` can prove them."""
    for path in sorted((own / "files").rglob("*")):
        target = shared / path.relative_to(own)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    shutil.rmtree(own, ignore_errors=True)


def _write_metrics(recorded: Description, present: Description, project: Path) -> None:
    """Write those metrics files that the store does not have from the recorded numbers: nested JSON, or no file if it is another format."""
    for path, numbers in recorded.metrics.items():
        if recorded.within([path], recorded.stored) or (
            (project / path).exists() and present.metrics.get(path) == numbers
        ):
            continue
        _remove(project, path)
        if path.endswith(".json"):
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(json.dumps(nested(numbers), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def nested(numbers: Mapping[str, float]) -> dict[str, Any]:
    """Numbers by `section.name` as sections of numbers. A name that is also a section keeps its dots."""
    document: dict[str, Any] = {}
    for name, value in sorted(numbers.items()):
        *sections, last = name.split(".")
        place = document
        for section in sections:
            inner = place.setdefault(section, {})
            if not isinstance(inner, dict):
                document[name] = value
                break
            place = inner
        else:
            place[last] = value
    return document
