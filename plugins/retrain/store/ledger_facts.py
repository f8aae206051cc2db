"""Facts that the ledger keeps beside its immutable records, each as an event that is created once.

Which run of a day counts, where MLflow holds it, how long its stages took, which of them do not repeat themselves, which commit a
tag has, what was pinned, whose objects were removed. A later event changes what holds now, never what held before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from retrain.errors import MovedTagError, PinConflictError
from retrain.run.release import Pin, Release
from retrain.run.run_record import Mirrored, RunRecord
from retrain.run.run_spec import RunSpec
from retrain.run.stage_run import StageRun
from retrain.store import events
from retrain.store.events import COUNTS, MIRRORED, PINNED, PRUNED, STAGES, TAGS, TAGS_BEFORE, UNREPEATABLE
from retrain.store.ledger import Ledger


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _of_run(kind: str, spec: RunSpec) -> str:
    return f"{kind}/dt={spec.partition}/{spec.run_key}"


def count(ledger: Ledger, spec: RunSpec, dag_run: str, mode: str) -> bool:
    """Note that this run is now the one of its day that counts; returns False if it counted already."""
    if ledger.counts(spec.pipeline, spec.partition).get(spec.partition) == spec.run_key:
        return False
    event = events.CountsEvent(_now(), spec.run_key, spec.release, dag_run, mode)
    ledger.numbered_event(spec.pipeline, f"{COUNTS}/dt={spec.partition}", spec.run_key, event.to_dict())
    return True


def mirror(ledger: Ledger, spec: RunSpec, where: Mirrored) -> None:
    """Note where MLflow holds a run, unless the newest event says the same."""
    names = ledger.event_names(spec.pipeline, _of_run(MIRRORED, spec))
    if not names or _mirrored(ledger, spec, max(names)) != where:
        event = events.MirroredEvent(_now(), **asdict(where))
        ledger.numbered_event(spec.pipeline, _of_run(MIRRORED, spec), "mlflow", event.to_dict())


def mirrored(ledger: Ledger, record: RunRecord, *, first: bool = False) -> Mirrored | None:
    """Where MLflow holds a run; None if it never held it.

    Args:
        ledger: the ledger.
        record: the run.
        first: where MLflow held it at first. A rebuilt MLflow gives the run other ids.

    Raises:
        RecordError: the event cannot be read.
    """
    if first and record.version_1:
        return record.version_1.mirrored
    names = ledger.event_names(record.pipeline, _of_run(MIRRORED, record.spec))
    if names:
        return _mirrored(ledger, record.spec, min(names) if first else max(names))
    return record.version_1.mirrored if record.version_1 else None


def _mirrored(ledger: Ledger, spec: RunSpec, name: str) -> Mirrored:
    body = ledger.event_body(spec.pipeline, _of_run(MIRRORED, spec), name) or {}
    event = events.read(events.MirroredEvent, body, f"{name} of {spec.run_key}")
    return Mirrored(event.run_id, event.experiment_id, event.model_version)


def note_stages(
    ledger: Ledger, spec: RunSpec, attempt: str, stages: Sequence[StageRun], *, environment: str, dag_run: str
) -> None:
    """Note how each stage of an attempt ended and how long it took. One event per attempt."""
    event = events.StagesEvent(_now(), dag_run, environment, tuple(stages))
    ledger.event(spec.pipeline, _of_run(STAGES, spec), attempt, event.to_dict())


def note_unrepeatable(ledger: Ledger, spec: RunSpec, stages: Iterable[str], dag_run: str) -> tuple[str, ...]:
    """Note that these stages gave other outputs than the run's record has; returns those that were not known for it before."""
    noted = []
    for stage in sorted(stages):
        event = events.UnrepeatableEvent(_now(), dag_run, stage)
        if ledger.event(spec.pipeline, _of_run(UNREPEATABLE, spec), _named(stage), event.to_dict()):
            noted.append(stage)
    return tuple(noted)


def unrepeatable(ledger: Ledger, spec: RunSpec) -> frozenset[str]:
    """The stages that are known to have given other outputs than the run's record has."""
    return frozenset(map(unquote, ledger.event_names(spec.pipeline, _of_run(UNREPEATABLE, spec))))


def fix_tag(ledger: Ledger, pipeline: str, release: Release, pin: Pin | None = None) -> Release:
    """Note the commit of a release's tag, which it must have from now on; returns the release.

    Args:
        ledger: the ledger.
        pipeline: the pipeline.
        release: the tag, with the commit that the origin names for it now.
        pin: the current pin. The first call for a ledger also fixes the tags of its releases.

    Raises:
        MovedTagError: the tag had another commit when it was first pinned or run. The sentence names both.
    """
    known = first_commit(ledger, pipeline, release, pin)
    if known != release.commit:
        raise MovedTagError(
            f"The tag {release.tag} has moved: {known} when it was first released, now {release.commit}. "
            "Nothing was run or pinned. Put the tag back, or release the new commit under a new tag."
        )
    return release


def first_commit(ledger: Ledger, pipeline: str, release: Release, pin: Pin | None = None) -> str:
    """The commit with which a name was released first. It is noted if this is the first time. Arguments as for `fix_tag`."""
    keep_tags(ledger, pipeline, pin)
    if _fix(ledger, pipeline, release):
        return release.commit
    body = ledger.event_body(pipeline, TAGS, _named(release.tag)) or {}
    return events.read(events.TagEvent, body, f"{TAGS}/{release.tag}").commit


def was_released(ledger: Ledger, pipeline: str, name: str) -> bool:
    """True if a tag or label was pinned or run before."""
    return ledger.event_body(pipeline, TAGS, _named(name)) is not None


def keep_tags(ledger: Ledger, pipeline: str, pin: Pin | None) -> None:
    """Note the commit of the live release. The first call for a ledger does so for every release that was pinned or run before.

    The live release comes first: if its tag moved before the ledger kept tags, the commit that runs now is the one that is kept.
    """
    if pin is not None:
        _fix(ledger, pipeline, pin.live)
    if ledger.event_names(pipeline, TAGS_BEFORE):
        return
    recorded = sorted(ledger.records(pipeline), key=lambda record: record.recorded_at)
    first: dict[str, Release] = {}
    for known in (*(pin.previous if pin else ()), *(Release(record.release, record.commit) for record in recorded)):
        first.setdefault(known.tag, known)
    for known in first.values():
        _fix(ledger, pipeline, known)
    # Last, so that the next call completes an interrupted one.
    ledger.event(pipeline, TAGS_BEFORE, "noted", events.TagsNotedEvent(_now()).to_dict())


def _fix(ledger: Ledger, pipeline: str, release: Release) -> bool:
    return ledger.event(pipeline, TAGS, _named(release.tag), events.TagEvent(_now(), release.commit).to_dict())


def _named(tag: str) -> str:
    return quote(tag, safe="")


def pins(ledger: Ledger, pipeline: str) -> int:
    """The number of moves of the pin so far."""
    return len(ledger.event_names(pipeline, PINNED))


def note_pin(ledger: Ledger, pipeline: str, after: int, release: Release, before: Release | None, why: str) -> None:
    """Note a move of the pin as number `after` + 1.

    Args:
        ledger: the ledger.
        pipeline: the pipeline.
        after: the number of moves that `pins` returned.
        release: the release that becomes live.
        before: the release that was live; None if nothing was pinned.
        why: release or rollback.

    Raises:
        PinConflictError: another move has this number: somebody else has moved the pin since `pins` was called.
    """
    by = os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}"
    event = events.PinnedEvent(_now(), release.tag, release.commit, before.tag if before else None, by, why)
    if not ledger.event(pipeline, PINNED, f"{after + 1:04}", event.to_dict()):
        raise moved_meanwhile(pipeline, release)


def moved_meanwhile(pipeline: str, release: Release) -> PinConflictError:
    """The error for a pin that somebody else has moved since it was read."""
    return PinConflictError(
        f"{release.tag} was not pinned: another release or rollback of {pipeline} was made at the same moment. "
        "Look at it with make pin, then run the command again."
    )


def pruned(ledger: Ledger, pipeline: str) -> frozenset[str]:
    """The run keys of runs whose objects were removed and have not been stored again."""
    newest: dict[str, str] = {}
    for name in sorted(ledger.event_names(pipeline, PRUNED)):
        _, run_key, event = name.rsplit("/", 2)
        newest[run_key] = event.partition("-")[2]
    return frozenset(run_key for run_key, state in newest.items() if state == "removed")


def is_pruned(ledger: Ledger, spec: RunSpec) -> bool:
    """True if the objects of this run were removed and have not been stored again."""
    names = ledger.event_names(spec.pipeline, _of_run(PRUNED, spec))
    return bool(names) and max(names).endswith("-removed")


def note_removed(ledger: Ledger, record: RunRecord, keep_days: int) -> None:
    """Note that a prune which keeps `keep_days` days removes objects of this run."""
    event = events.RemovedEvent(_now(), keep_days)
    ledger.numbered_event(record.pipeline, _of_run(PRUNED, record.spec), "removed", event.to_dict())


def note_stored(ledger: Ledger, spec: RunSpec) -> None:
    """Note that the objects of a run are on the remote again, if they had been pruned."""
    if is_pruned(ledger, spec):
        ledger.numbered_event(spec.pipeline, _of_run(PRUNED, spec), "stored", events.StoredEvent(_now()).to_dict())
