"""Facts that the ledger notes beside its records, each as an event.

Which run of a day counts, where MLflow has it, what its stages took, which commit a tag has, what was pinned, whose objects were
removed. An event is created once. A later event changes what holds now and never what was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from urllib.parse import quote

from retrain.errors import MovedTagError, PinConflictError, RecordError
from retrain.run.release import Pin, Release
from retrain.run.run_record import Mirrored, RunRecord
from retrain.run.run_spec import RunSpec
from retrain.run.stage_run import StageRun
from retrain.store.ledger import COUNTS, Ledger

MIRRORED = "mirrored"
STAGES = "stages"
TAGS = "tags"
TAGS_BEFORE = "tags_before"
PINNED = "pinned"
PRUNED = "pruned"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _of_run(kind: str, spec: RunSpec) -> str:
    return f"{kind}/dt={spec.partition}/{spec.run_key}"


def count(ledger: Ledger, spec: RunSpec, dag_run: str, mode: str) -> bool:
    """Note that this run is the one of its day that counts now; False when it counted already."""
    if ledger.counts(spec.pipeline, spec.partition).get(spec.partition) == spec.run_key:
        return False
    body = {"at": _now(), "run_key": spec.run_key, "release": spec.release, "dag_run": dag_run, "mode": mode}
    ledger.numbered_event(spec.pipeline, f"{COUNTS}/dt={spec.partition}", spec.run_key, body)
    return True


def mirror(ledger: Ledger, spec: RunSpec, where: Mirrored) -> None:
    """Note where MLflow has a run, unless that is noted already."""
    names = ledger.event_names(spec.pipeline, _of_run(MIRRORED, spec))
    if not names or _mirrored(ledger, spec, max(names)) != where:
        ledger.numbered_event(spec.pipeline, _of_run(MIRRORED, spec), "mlflow", {"at": _now(), **asdict(where)})


def mirrored(ledger: Ledger, record: RunRecord, *, first: bool = False) -> Mirrored | None:
    """Where MLflow has a run, or had it `first`: a rebuilt MLflow gives other numbers. None when it was never there."""
    if first and record.version_1:
        return record.version_1.mirrored
    names = ledger.event_names(record.pipeline, _of_run(MIRRORED, record.spec))
    if names:
        return _mirrored(ledger, record.spec, min(names) if first else max(names))
    return record.version_1.mirrored if record.version_1 else None


def _mirrored(ledger: Ledger, spec: RunSpec, name: str) -> Mirrored:
    body = ledger.event_body(spec.pipeline, _of_run(MIRRORED, spec), name) or {}
    try:
        return Mirrored(body["run_id"], body["experiment_id"], body["model_version"])
    except KeyError as error:
        raise RecordError(f"The event {name} of {spec.run_key} says no {error}. Somebody else wrote it.") from error


def note_stages(
    ledger: Ledger, spec: RunSpec, attempt: str, stages: Sequence[StageRun], *, environment: str, dag_run: str
) -> None:
    """Note what each stage of an attempt took: seconds, peak memory in bytes, and whether it ran. Once an attempt."""
    body = {
        "at": _now(),
        "dag_run": dag_run,
        "environment": environment,
        "stages": [asdict(stage) for stage in stages],
    }
    ledger.event(spec.pipeline, _of_run(STAGES, spec), attempt, body)


def fix_tag(ledger: Ledger, pipeline: str, release: Release, pin: Pin | None = None) -> Release:
    """The release, whose tag has its commit for good from now on.

    Args:
        pin: what is pinned, and was: with the first fact of a ledger the tags of the releases before it are fixed too.

    Raises:
        MovedTagError: the tag had another commit when it was pinned or run before. Both are named.
    """
    keep_tags(ledger, pipeline, pin)
    if not _fix(ledger, pipeline, release):
        body = ledger.event_body(pipeline, TAGS, _named(release.tag)) or {}
        if body.get("commit") != release.commit:
            raise MovedTagError(
                f"The tag {release.tag} has moved: {body.get('commit')} when it was first released, now {release.commit}. "
                "Nothing was run or pinned. Put the tag back, or release the new commit under a new tag."
            )
    return release


def keep_tags(ledger: Ledger, pipeline: str, pin: Pin | None) -> None:
    """Note the commit of what is pinned, and, once in the life of a ledger, of every release that was pinned or run before.

    What is live comes first: a tag that moved before its commit was a fact keeps the commit that runs now.
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
    # Last: an interrupted time is made good by the next.
    ledger.event(pipeline, TAGS_BEFORE, "noted", {"at": _now()})


def _fix(ledger: Ledger, pipeline: str, release: Release) -> bool:
    return ledger.event(pipeline, TAGS, _named(release.tag), {"at": _now(), "commit": release.commit})


def _named(tag: str) -> str:
    return quote(tag, safe="")


def pins(ledger: Ledger, pipeline: str) -> int:
    """How many moves of the pin are noted."""
    return len(ledger.event_names(pipeline, PINNED))


def note_pin(ledger: Ledger, pipeline: str, after: int, release: Release, before: Release | None, why: str) -> None:
    """Note a move of the pin as the next one after `after` moves.

    Raises:
        PinConflictError: somebody else has moved it in the meantime.
    """
    body = {
        "at": _now(),
        "tag": release.tag,
        "commit": release.commit,
        "before": before.tag if before else None,
        "by": os.environ.get("SUDO_USER") or os.environ.get("USER") or f"uid {os.getuid()}",
        "why": why,
    }
    if not ledger.event(pipeline, PINNED, f"{after + 1:04}", body):
        raise moved_meanwhile(pipeline, release)


def moved_meanwhile(pipeline: str, release: Release) -> PinConflictError:
    """The error of a pin that somebody else has moved since it was read."""
    return PinConflictError(
        f"{release.tag} was not pinned: another release or rollback of {pipeline} was made at the same moment. "
        "Look at it with make pin, then run the command again."
    )


def pruned(ledger: Ledger, pipeline: str) -> frozenset[str]:
    """The run keys whose objects were removed, and were not stored again since."""
    newest: dict[str, str] = {}
    for name in sorted(ledger.event_names(pipeline, PRUNED)):
        _, run_key, event = name.rsplit("/", 2)
        newest[run_key] = event.partition("-")[2]
    return frozenset(run_key for run_key, state in newest.items() if state == "removed")


def note_removed(ledger: Ledger, record: RunRecord, keep_days: int) -> None:
    """Note that objects of this run were removed, because only so many days are kept."""
    body = {"at": _now(), "keep_days": keep_days}
    ledger.numbered_event(record.pipeline, _of_run(PRUNED, record.spec), "removed", body)


def note_stored(ledger: Ledger, spec: RunSpec) -> None:
    """Note that the objects of a run are on the remote again, if they had been pruned."""
    names = ledger.event_names(spec.pipeline, _of_run(PRUNED, spec))
    if names and max(names).endswith("-removed"):
        ledger.numbered_event(spec.pipeline, _of_run(PRUNED, spec), "stored", {"at": _now()})
