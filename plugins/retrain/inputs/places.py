"""Whether an input fits a release at its path, and which files of the release it replaces there. Nothing is read or written."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from retrain.deployment.sections import Input
from retrain.inputs.errors import InputNamesError, InputPathError
from retrain.inputs.names import some
from retrain.inputs.reserved_names import FILES_OF_DVC, FOLDERS, OF_THE_RUN, is_of_dvc
from retrain.work.dvc.declared import TrackedFile
from retrain.work.dvc.description import Description

_LINK, _SUBMODULE = "120000", "160000"  # Git's modes
_IN_THE_WAY = {
    _LINK: ("a symbolic link", "Name the path that it leads to"),
    _SUBMODULE: ("a submodule", "Name a path outside of it"),
}
_CODE = (".py", ".sh", ".r", ".jl", ".ipynb", ".pl", ".rb", ".js", ".sql")


@dataclass(frozen=True)
class ReleaseFacts:
    """A release's checkout: DVC's description, Git's mode of each committed file by path, and the params files that the run sets.

    `of_the_run` are the files that the run writes.
    """

    described: Description
    committed: Mapping[str, str]
    params: AbstractSet[str] = frozenset()
    of_the_run: tuple[str, ...] = OF_THE_RUN

    def below(self, path: str) -> list[str]:
        """The committed files at a path or below it, sorted."""
        return sorted(file for file in self.committed if _inside(file, path))

    def has(self, path: str) -> bool:
        """True if the release has something at a path, in Git or by a .dvc file."""
        tracked = (out.path for each in self.described.tracked for out in each.outs)
        return bool(self.below(path)) or any(_touch(path, each) for each in tracked)


@dataclass(frozen=True)
class ClearedPlace:
    """The place of an input: what stands at `path` goes, and so do the files of the release that are named in `replaced`."""

    path: str
    replaced: tuple[str, ...]


def cleared(inputs: Sequence[Input], facts: ReleaseFacts) -> list[ClearedPlace]:
    """The place of each input, in their order.

    Raises:
        InputPathError: an input does not fit the release there; the sentence names its path, the reason and a way out.
    """
    paths = [posixpath.normpath(entry.path) for entry in inputs]
    for number, path in enumerate(paths):
        for other in paths[:number]:
            if _touch(path, other):
                raise _refused(path, f"the input {other} is laid there too", "Give each input a folder of its own")
    return [_cleared(entry, path, facts) for entry, path in zip(inputs, paths, strict=True)]


def require_kept(place: ClearedPlace, laid: AbstractSet[str], facts: ReleaseFacts) -> None:
    """Check that an input lays what the stages need at its place. `laid` are the paths that it lays.

    Raises:
        InputPathError: a stage needs a file of the release that the input takes away.
        InputNamesError: a stage needs a file that neither the release has there nor the day's objects.
    """
    for stage in facts.described.stages:
        for needed in (*stage.deps, *_words(stage.cmd, stage.wdir)):
            provided = any(_inside(path, needed) for path in laid)
            if needed == place.path or not _inside(needed, place.path) or provided:
                continue
            if facts.has(needed):
                raise _refused(
                    place.path,
                    f"stage {stage.name} needs {needed}, which the release has there and no object replaces",
                    "Name a path that has only data, or let `names` lay an object there",
                )
            if needed in stage.deps and stage.reached and not stage.frozen:
                raise InputNamesError(
                    f"Stage {stage.name} needs {needed}, and the input {place.path} lays no object there: it lays "
                    f"{some(sorted(laid))}. Land that object and clear resolve_run, or correct `names` in the pipeline's file."
                )


def require_seen(place: ClearedPlace, hidden: Sequence[str], facts: ReleaseFacts) -> None:
    """Check that DVC sees all files of an input. `hidden` are those that a .dvcignore hides.

    Raises:
        InputPathError: DVC would not see that one changes, because no stage has the file itself as a dependency.
    """
    named = {dep for stage in facts.described.stages for dep in stage.deps}
    for file in hidden:
        if file not in named:
            raise _refused(
                place.path,
                f"a .dvcignore of the release hides {file}, so DVC would not run a stage again when it changes",
                "Remove that pattern in a new release, or leave the object out with `objects`",
            )


def _cleared(entry: Input, path: str, facts: ReleaseFacts) -> ClearedPlace:
    _require_in_the_release(path, facts)
    _require_data_alone(path, facts)
    _require_no_params(path, facts)
    _require_no_output(path, facts.described)
    gone = [tracked for tracked in facts.described.tracked if _replaces(path, tracked)]
    _require_same_kind(entry, path, facts, gone)
    return ClearedPlace(path, tuple(sorted({*facts.below(path), *(tracked.file for tracked in gone)})))


def _require_in_the_release(path: str, facts: ReleaseFacts) -> None:
    """Refuse a path outside of what the release's commit and DVC leave to data."""
    if path in {".", ".."} or path.startswith(("/", "../")):
        raise _refused(path, "that is the checkout itself, or outside of it", "Name a path in the checkout")
    for part in path.split("/"):
        if part in FOLDERS:
            raise _refused(path, f"{part} belongs to {FOLDERS[part]}", "Name another path")
        if is_of_dvc(part):
            raise _refused(path, f"{part} is a name of DVC's own files", "Name a path that has only data")
    for parent in _parents(path):
        if parent in facts.committed:
            what, fix = _IN_THE_WAY.get(facts.committed[parent], ("a file of the release", "Name another path"))
            raise _refused(path, f"{parent} is {what}", fix)


def _require_data_alone(path: str, facts: ReleaseFacts) -> None:
    """Refuse a path that holds more than data."""
    for file in (*facts.below(path), *facts.of_the_run, *_files_of_dvc(facts.described)):
        if not _inside(file, path):
            continue
        if facts.committed.get(file) == _SUBMODULE:
            raise _refused(path, f"{file} is a submodule", "Name a path outside of it")
        if posixpath.basename(file) in FILES_OF_DVC:
            raise _refused(path, f"{file} is a file of DVC's", "Name a path that has only data")
        if file in facts.of_the_run:
            raise _refused(path, f"the run writes {file} itself", "Name another path")
    for stage in facts.described.stages:
        for word in _words(stage.cmd, stage.wdir):
            if _inside(word, path) and word in facts.committed and word.lower().endswith(_CODE):
                raise _refused(path, f"stage {stage.name} runs {word}", "Name a path that has only data")


def _require_no_params(path: str, facts: ReleaseFacts) -> None:
    readers = {file: stage.name for stage in facts.described.stages for file in stage.params}
    for file in sorted({*readers, *facts.params}):
        if _inside(file, path) and file not in facts.of_the_run:
            whose = f"stage {readers[file]} reads params from {file}" if file in readers else f"`params` sets {file}"
            raise _refused(path, whose, "Name a path that has only data")


def _require_no_output(path: str, described: Description) -> None:
    for stage in described.stages:
        for out in stage.outs:
            if _touch(out.path, path):
                raise _refused(
                    path,
                    f"stage {stage.name} writes {out.path}",
                    "Name a path that no stage writes, or release a version without that stage",
                )


def _replaces(path: str, tracked: TrackedFile) -> bool:
    """True if an input replaces the data of a .dvc file; then the .dvc file goes."""
    outs = [out.path for out in tracked.outs]
    for out in outs:
        if path != out and _inside(path, out):
            raise _refused(path, f"{tracked.file} tracks {out} as a whole", f"Write `path: {out}`")
    gone = [out for out in outs if _inside(out, path)]
    left = [out for out in outs if out not in gone]
    if left and (gone or _inside(tracked.file, path)):
        raise _refused(
            path,
            f"{tracked.file}, which would go, also tracks {left[0]}",
            "Move that .dvc file in a new release, or name another path",
        )
    return bool(gone)


def _require_same_kind(entry: Input, path: str, facts: ReleaseFacts, gone: Sequence[TrackedFile]) -> None:
    """Refuse a folder in place of a file, and a file in place of a folder: the stages read the other kind."""
    md5s = [out.md5 for tracked in gone for out in tracked.outs if out.path == path and out.md5]
    is_file = facts.committed.get(path) not in (None, _LINK) or any(not md5.endswith(".dir") for md5 in md5s)
    is_folder = any(file != path for file in facts.below(path)) or any(md5.endswith(".dir") for md5 in md5s)
    if is_file and entry.names != "file":
        raise _refused(
            path,
            f"it is a file in the release, and names: {entry.names} makes a folder of it",
            "Write `names: file` with `days: partition`, or name a folder",
        )
    if is_folder and entry.names == "file":
        raise _refused(path, "it is a folder in the release, and names: file makes a file of it", "Name a file in it")


def _files_of_dvc(described: Description) -> Iterator[str]:
    for stage in described.stages:
        yield stage.file
        yield f"{posixpath.splitext(stage.file)[0]}.lock"


def _words(commands: Sequence[str], wdir: str) -> Iterator[str]:
    """The words of a stage's commands as paths of the checkout; most of them are none."""
    for word in " ".join(commands).split():
        yield posixpath.normpath(posixpath.join(wdir, word.strip("'\"")))


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _touch(one: str, other: str) -> bool:
    return _inside(one, other) or _inside(other, one)


def _refused(path: str, reason: str, fix: str) -> InputPathError:
    return InputPathError(f"The input {path} cannot be laid: {reason}. {fix}.")
