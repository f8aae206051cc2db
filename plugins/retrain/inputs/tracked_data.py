"""Brings data that .dvc files and frozen stages track into a checkout: from the cache, else our store, else the release's remotes."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrain.errors import RetrainError
from retrain.inputs import tracked_refusals
from retrain.inputs.errors import RemoteDamagedError, TrackedChangedError, TrackedGoneError
from retrain.store import cache_filling
from retrain.store.cached_objects import changed_file
from retrain.store.remote import Remote
from retrain.work.dvc import tracked_inputs, tracked_programs
from retrain.work.dvc.description import Description
from retrain.work.dvc.outputs import CachedObject, Output
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.tracked_inputs import TrackedInput
from retrain.work.dvc.tracked_programs import FetchedInput, FetchRefusal
from retrain.work.files import write_whole
from retrain.work.remote_access import RemoteAccess

log = logging.getLogger(__name__)

_OF_DVC_2 = "dvc2"  # the folder of a cache with the MD5s that DVC 3 gives data of DVC 2, by its MD5 there
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LOOK_SECONDS = 600.0


@dataclass(frozen=True)
class TrackedSources:
    """Where tracked data comes from, beside the cache.

    `store` is our own remote. `access` gives the connections for the release's remotes; None for a past day, which is made of our store
    alone. `recorded` are the MD5s of its outputs by path.
    """

    store: Remote
    access: Callable[[], RemoteAccess] | None
    recorded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BroughtData:
    """The checkout with its tracked data, as DVC describes it, and a sentence for each place that data came from.

    `outputs` are the data that the checkout lacked, with the MD5s of DVC 3.
    """

    description: Description
    lines: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()


def bring(dvc: Dvc, described: Description, sources: TrackedSources, release: str, timeout: float) -> BroughtData:
    """Put the tracked data that the stages need and the checkout lacks into the checkout. Imports are held there: DVC asks no source.

    Args:
        dvc: DVC in the checkout, already configured.
        described: the checkout as DVC describes it.
        sources: where the data comes from.
        release: names the release in an error.
        timeout: seconds for all that is fetched from the release's own remotes.

    Raises:
        TrackedInputError: the release does not lead to the data; the class says why.
        ConfigurationError: a connection of a remote is missing or does not fit, or the deployment's own DVC lacks an extra.
        RemoteDeniedError: a remote refused the credentials.
        RemoteUnreachableError: a remote did not answer.
        RemoteDamagedError: a remote sent other bytes than the recorded ones. Nothing of it is kept.
        DiskFullError: the disk filled up.
        TrackedFetchError: DVC could not fetch the data, and does not say why.
        TrackedGoneError: our store does not have the data of a past day any more.
        StoreError: our store refused a request or did not answer.
        DvcError: a program that asks DVC failed.
    """
    wanted, hold = tracked_inputs.missing_inputs(described), tracked_inputs.imports(described)
    if not wanted and not hold:
        return BroughtData(described)
    found, lines, left = _from_ours(wanted, sources, dvc.cache)
    if left:
        if sources.access is None:
            raise TrackedGoneError(
                f"{left[0].path} of {release}, which {left[0].named_by} tracks, is not on {sources.store.url} any more. "
                "If the bucket keeps versions, restore it there."
            )
        fetched = _from_remotes(dvc, left, sources.access(), release, timeout)
        found |= {each: own.md5 for each, own in fetched.items()}
        lines += [_line(each, own) for each, own in fetched.items()]
    for line in lines:
        log.info("%s", line)
    tracked_programs.place(dvc, found, hold)
    outputs = tuple(Output(each.stage, each.path, md5, 0) for each, md5 in found.items())
    return BroughtData(dvc.describe(), tuple(lines), outputs)


def require_there(dvc: Dvc, described: Description, sources: TrackedSources, release: str) -> None:
    """Make sure that all tracked data which a run needs can be had, without fetching it.

    Raises:
        RetrainError: as for `bring`.
    """
    wanted = tracked_inputs.missing_inputs(described)
    left = [
        each for each in wanted
        if (item := _item(each, _md5(each, sources, dvc.cache))) is None or not cache_filling.store_has(item, sources.store)
    ]  # fmt: skip
    if left and sources.access is not None:
        with tempfile.TemporaryDirectory() as folder:
            _ask(dvc, left, Path(folder), sources.access(), release, _LOOK_SECONDS, look=True)


def require_unchanged(dvc: Dvc, brought: BroughtData, described: Description, release: str) -> None:
    """Make sure that no stage has changed tracked data: a restored day would have other data than the stages read.

    Args:
        dvc: DVC in the checkout.
        brought: what was brought into it. DVC gives a .dvc file and a frozen stage the MD5 of changed data, if `dvc repro` is called again.
        described: the checkout after its last `dvc repro`.
        release: names the release in an error.

    Raises:
        TrackedChangedError: one has.
        DvcLockError: the listing of a directory is not in the cache.
        CorruptCacheError: the listing of a directory in the cache has wrong content. It is put aside.
    """
    for output in {each.path: each for each in (*described.tracked_outputs, *brought.outputs)}.values():
        path = changed_file(output, dvc.checkout, dvc.cache)
        if path is not None:
            raise TrackedChangedError(
                f"A stage of {release} has changed {path}, which {output.stage} tracks. The next stage would read other data than the "
                "release names. Let the stage write to an output of its own, in a new release."
            )


def _from_ours(
    wanted: Sequence[TrackedInput], sources: TrackedSources, cache: Path
) -> tuple[dict[TrackedInput, str], list[str], list[TrackedInput]]:
    """What the cache and our store have: by MD5, with a sentence for what came from the store; and what they lack."""
    found: dict[TrackedInput, str] = {}
    lines: list[str] = []
    left: list[TrackedInput] = []
    for each in wanted:
        item = _item(each, _md5(each, sources, cache))
        if item is None:
            left.append(each)
        elif cache_filling.holds(item, cache):
            found[each] = item.md5
        elif (got := cache_filling.fill_from_store(item, sources.store, cache)) is not None:
            found[each] = item.md5
            lines.append(f"{each.path}: {_files(*got)} from our store, {sources.store.url}")
        else:
            left.append(each)
    return found, lines, left


def _from_remotes(
    dvc: Dvc, left: Sequence[TrackedInput], access: RemoteAccess, release: str, timeout: float
) -> dict[TrackedInput, FetchedInput]:
    # Beside the checkout, so that it is on the cache's disk and goes with the workspace.
    with tempfile.TemporaryDirectory(dir=dvc.checkout.parent, prefix="tracked-") as name:
        folder = Path(name)
        answers = {each.path: each for each in _ask(dvc, left, folder, access, release, timeout, look=False)}
        for each in left:
            own = answers[each.path]
            wrong = cache_filling.fill_from_folder(CachedObject(own.md5, each.stage, each.path), folder, dvc.cache)
            if wrong is not None:
                raise RemoteDamagedError(
                    f"{wrong.path} of {release} ({each.named_by}) came from {own.source} ({own.address}) without the content that "
                    f"its MD5 {wrong.checksum} names. None of it is kept. Clear the task."
                )
            if each.hash != "md5" and each.md5:
                write_whole(_memory(each.md5, dvc.cache), own.md5.encode())
        return {each: answers[each.path] for each in left}


def _ask(
    dvc: Dvc,
    left: Sequence[TrackedInput],
    folder: Path,
    access: RemoteAccess,
    release: str,
    timeout: float,
    *,
    look: bool,
) -> tuple[FetchedInput, ...]:
    answer = tracked_programs.fetch(dvc, left, folder, access, timeout, look=look)
    if answer is None:
        raise tracked_refusals.too_slow(left[0], release, timeout)
    if isinstance(answer, FetchRefusal):
        raise _refusal(answer, left, release)
    return answer


def _refusal(found: FetchRefusal, left: Sequence[TrackedInput], release: str) -> RetrainError:
    own = next((each for each in left if each.path == found.path), left[0])
    return tracked_refusals.refusal(found, own, release)


def _item(wanted: TrackedInput, md5: str | None) -> CachedObject | None:
    return None if md5 is None else CachedObject(md5, wanted.stage, wanted.path)


def _md5(wanted: TrackedInput, sources: TrackedSources, cache: Path) -> str | None:
    """The MD5 that DVC 3 gives the data; None if it is not known before the data is there."""
    if wanted.path in sources.recorded:
        return sources.recorded[wanted.path]
    if wanted.md5 is None or not _MD5.fullmatch(wanted.md5):
        return None
    if wanted.hash == "md5":
        return wanted.md5
    memory = _memory(wanted.md5, cache)
    return memory.read_text(encoding="utf-8") if memory.is_file() else None


def _memory(md5: str, cache: Path) -> Path:
    return cache / _OF_DVC_2 / md5


def _line(wanted: TrackedInput, own: FetchedInput) -> str:
    where = "where it was imported" if own.source == "import" else f"remote {own.source}"
    return f"{wanted.path}: {_files(own.files, own.bytes)} from {where}, {own.address}"


def _files(count: int, size: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}, {size:,} bytes"
