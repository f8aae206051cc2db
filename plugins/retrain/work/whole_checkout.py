"""A checkout with all that belongs to its commit: the files of its submodules, at the pinned commits, and those in Git LFS."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Collection, Iterator
from pathlib import Path

from retrain.errors import OriginError
from retrain.work import git, git_program, large_files, submodules
from retrain.work.dvc.project_root import project_root
from retrain.work.errors import SubmoduleError, SubmoduleRefusedError
from retrain.work.mirrors import fetched
from retrain.work.origin import Origin
from retrain.work.submodules import Submodule

log = logging.getLogger(__name__)

_DEEPEST = 8  # submodules in submodules
_MOST = 100
_KEYS = r"^submodule\..*\.(path|url|update)$"


def whole_checkout(
    mirror: Path,
    commit: str,
    to: Path,
    origin: Origin,
    *,
    standalone: bool = False,
    folder: str = ".",
    laid: Collection[str] = (),
) -> None:
    """Make a detached checkout at `to`, which must not exist or be empty.

    Args:
        mirror: the origin's mirror, which has the commit. The mirrors of the submodules are beside it.
        commit: 40 hex digits.
        to: where the checkout goes.
        origin: the origin, with its access.
        standalone: copy the mirrors' objects, for a checkout that outlives them.
        folder: the folder of the pipeline in the repository.
        laid: paths in its DVC project that the day's data replaces: a file in Git LFS there stays its pointer.

    Raises:
        SubmoduleRefusedError: a submodule has an address or a path that no run may use.
        SubmoduleError: a submodule cannot be fetched.
        LargeFilesRefusedError: a file is in Git LFS and this machine has no git-lfs.
        LargeFilesError: a file in Git LFS cannot be fetched.
        NotAPipelineError: the commit does not have the folder.
        OriginError: Git failed, or a mirror has lost the content of a file.
    """
    git.checkout(mirror, commit, to, standalone=standalone)
    top = project_root(to, folder).relative_to(to).as_posix()
    replaced = [posixpath.normpath(posixpath.join(top, path)) for path in laid]
    large_files.provide(to, mirror, origin, replaced)
    seen = 0
    waiting = [("", origin, 1)]
    while waiting:
        above, own, depth = waiting.pop(0)
        for each in _submodules(to / above, own):
            seen += 1
            path = f"{above}{each.path}"
            if depth > _DEEPEST or seen > _MOST:
                raise SubmoduleRefusedError(
                    f"The submodule {path} is one too many: a run fetches {_MOST} at most, {_DEEPEST} deep. Correct it in a new release."
                )
            _check_out(mirror.parent, each, to, path, standalone=standalone, laid=replaced)
            waiting.append((f"{path}/", each.origin, depth + 1))


def _submodules(checkout: Path, origin: Origin) -> Iterator[Submodule]:
    listing = git_program.read("ls-files", "--stage", "-z", cwd=checkout)
    entries = (entry.partition("\t") for entry in listing.split("\0") if entry.startswith(git.SUBMODULE))
    pinned = {path: meta.split(" ")[1] for meta, _, path in entries}
    settings: dict[str, str] = {}
    if pinned:
        # Of the commit, not of the file: a link in its place is not followed.
        text = git_program.run("config", "--blob", "HEAD:.gitmodules", "-z", "--get-regexp", _KEYS, cwd=checkout)
        settings = dict(entry.split("\n", 1) for entry in text.output.split("\0") if "\n" in entry)
    found = submodules.declared(settings, pinned, origin)
    for path in sorted(pinned.keys() - {each.path for each in found}):
        log.warning(
            "%s is a submodule without an address in .gitmodules, or with update = none: its folder stays empty", path
        )
    yield from found


def _check_out(
    mirrors: Path, submodule: Submodule, checkout: Path, path: str, *, standalone: bool, laid: Collection[str]
) -> None:
    place = checkout / path
    if place.parent.resolve() != checkout.resolve() / Path(path).parent or place.is_symlink():
        raise SubmoduleRefusedError(f"A link is in the way of the submodule {path}. Remove the link in a new release.")
    inside = [name.removeprefix(f"{path}/") for name in laid if name.startswith(f"{path}/")]
    try:
        mirror = fetched(submodule.origin, submodule.commit, mirrors)
        git.checkout(mirror, submodule.commit, place, standalone=standalone)
        large_files.provide(place, mirror, submodule.origin, inside)
    except OriginError as error:
        raise SubmoduleError(
            f"The submodule {path} cannot be checked out at {submodule.commit[:12]} of {submodule.origin}. {error} A release can also do "
            "without it: remove it, or set update = none for it in .gitmodules."
        ) from error
