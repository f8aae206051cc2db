"""Files in Git LFS: their pointers in a checkout are replaced by the files, or the release is refused. A pointer is never data."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.deployment.git_address import parsed
from retrain.errors import DiskFullError
from retrain.work import git_failure, git_program
from retrain.work.errors import LargeFilesError, LargeFilesRefusedError
from retrain.work.file_lock import locked
from retrain.work.origin import Origin

_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n"
    rb"(?:ext-[^\n]+\n)*oid sha256:(?P<digest>[0-9a-f]{64})\nsize (?P<size>[0-9]{1,18})\n?"
)
_LARGEST_POINTER = 1024  # bytes, by its specification
_FETCH_SECONDS = 3600.0
_CHUNK = 2**20
_ADDRESS = r"^(lfs\.(push)?url|remote\..*\.lfs(push)?url)$"


@dataclass(frozen=True)
class LargeFile:
    """A file in Git LFS: its path in the checkout, and the SHA-256 and size in bytes that its pointer names."""

    path: str
    digest: str
    size: int


def pointers(checkout: Path, laid: Collection[str] = ()) -> list[LargeFile]:
    """The files of a checkout that are pointers, by their content, sorted by path.

    Those at or below the paths in `laid` are left out: the day's data is laid in place of them.

    Raises:
        OriginError: Git failed.
    """
    listing = git_program.read("ls-files", "-z", "--cached", cwd=checkout)
    found = []
    for name in sorted(set(filter(None, listing.split("\0")))):
        file = checkout / name
        if any(name == place or name.startswith(f"{place}/") for place in laid):
            continue
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _LARGEST_POINTER:
            continue
        if pointer := _POINTER.fullmatch(file.read_bytes()):
            found.append(LargeFile(name, pointer["digest"].decode(), int(pointer["size"])))
    return found


def program_is_there() -> bool:
    """True if this machine has git-lfs."""
    return shutil.which("git-lfs") is not None


def provide(checkout: Path, mirror: Path, origin: Origin, laid: Collection[str] = ()) -> int:
    """Replace the pointers in a checkout by their files, and return how many. The files are kept beside the mirror's objects.

    Args:
        checkout: a checkout of a commit that the mirror has.
        mirror: the origin's mirror. What was fetched before is not fetched again.
        origin: the origin, with its access.
        laid: the paths in the checkout that the day's data replaces.

    Raises:
        LargeFilesRefusedError: there is no git-lfs here, or the release names a server that no run may use.
        LargeFilesError: a file cannot be fetched, or has other content than its pointer names.
        DiskFullError: the disk has too little space.
    """
    wanted = pointers(checkout, laid)
    if not wanted:
        return 0
    if not program_is_there():
        raise LargeFilesRefusedError(
            f"{_listed(wanted)} in Git LFS, and this machine has no git-lfs, so a stage would read a pointer of three lines. Install "
            "git-lfs on the workers, or move the files to DVC (dvc add) in a new release."
        )
    store = mirror / "lfs"
    with locked(mirror.with_suffix(".lfs.lock"), what=f"the large files of {origin}"):
        missing = [each for each in wanted if not _has(store, each)]
        if missing:
            _require_space(mirror, missing)
            _fetch(checkout, store, origin, missing, laid)
        for each in wanted:
            _lay(store, each, checkout)
    return len(wanted)


def _fetch(checkout: Path, store: Path, origin: Origin, missing: Sequence[LargeFile], laid: Collection[str]) -> None:
    server = _server(checkout, origin)
    git_program.read("remote", "set-url", "origin", server.url, cwd=checkout)  # that of its LFS server follows from it
    settings = (
        "-c",
        f"lfs.storage={store}",
        "-c",
        "lfs.skipdownloaderrors=false",
    )
    # Our lists of paths take the place of those in the release's .lfsconfig, which could leave files out.
    wanted = ("--include=", f"--exclude={_patterns(laid)}", "origin", "HEAD")
    done = git_program.run(*settings, "lfs", "fetch", *wanted, cwd=checkout, origin=server, timeout=_FETCH_SECONDS)
    absent = [each for each in missing if not _has(store, each)]
    if done.timed_out or done.returncode != 0:
        failure = git_failure.of_origin(server, "git lfs fetch", done, _FETCH_SECONDS)
        if absent:
            raise LargeFilesError(f"{_listed(absent)} in Git LFS, and cannot be fetched. {failure}") from failure
    if absent:
        raise LargeFilesError(
            f"{_listed(absent)} in Git LFS, and {server.described} did not send the content that the pointer names. Push it again "
            "with git lfs push --all, or move the files to DVC."
        )


def _patterns(paths: Collection[str]) -> str:
    """Paths as git-lfs reads a list of patterns. A comma cannot be escaped there: the files at such a path are fetched in vain."""
    return ",".join("/" + re.sub(r"([*?\[\]\\])", r"\\\1", path) for path in paths if "," not in path)


def _server(checkout: Path, origin: Origin) -> Origin:
    """The origin itself, after a check of another address in the release's .lfsconfig: that one gets the access on the same server alone."""
    listing = git_program.run("config", "--file", ".lfsconfig", "-z", "--get-regexp", _ADDRESS, cwd=checkout)
    named = [entry.partition("\n")[2] for entry in listing.output.split("\0") if entry]
    server = origin
    for url in named:
        address, own = parsed(url), parsed(origin.url)
        if address is None or (address.scheme == "file" and (own is None or own.scheme != "file")):
            raise LargeFilesRefusedError(
                ".lfsconfig names an address that is no http, https or ssh address. Correct it in a new release."
            )
        if address.has_secret:
            raise LargeFilesRefusedError(
                f".lfsconfig has a password or a token for {address.host} in it. Remove it in a new release, and name an Airflow "
                "connection in repository.connection of the pipeline's file."
            )
        if own is None or not address.is_at(own):
            server = Origin(origin.url)
    return server


def _lay(store: Path, file: LargeFile, checkout: Path) -> None:
    """Copy a file of the store over its pointer. The copy is verified before it is in place."""
    to, digest = checkout / file.path, hashlib.sha256()
    handle, name = tempfile.mkstemp(dir=to.parent, prefix=".lfs-")
    try:
        with os.fdopen(handle, "wb") as copy, _object(store, file).open("rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
        if digest.hexdigest() != file.digest or Path(name).stat().st_size != file.size:
            _object(store, file).unlink()
            raise LargeFilesError(
                f"{file.path} is in Git LFS, and its content is not the one that its pointer names. It was removed from {store}: clear "
                "the task, which fetches it again."
            )
        shutil.copymode(to, name)
        Path(name).replace(to)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _has(store: Path, file: LargeFile) -> bool:
    at = _object(store, file)
    return at.is_file() and at.stat().st_size == file.size


def _object(store: Path, file: LargeFile) -> Path:
    return store / "objects" / file.digest[:2] / file.digest[2:4] / file.digest


def _require_space(mirror: Path, missing: Sequence[LargeFile]) -> None:
    needed, free = 2 * sum(each.size for each in missing), shutil.disk_usage(mirror).free
    if free < needed:
        raise DiskFullError(
            f"{_listed(missing)} in Git LFS. {mirror} has {free:,} bytes free, the files and their copy need {needed:,}. Nothing was "
            "fetched. Free some space, then clear the task."
        )


def _listed(files: Sequence[LargeFile]) -> str:
    """The first file and the number of all, with the verb: `data/a.bin and 2 more files are`."""
    if len(files) == 1:
        return f"{files[0].path} is"
    more = "1 more file" if len(files) == 2 else f"{len(files) - 1} more files"  # noqa: PLR2004
    return f"{files[0].path} and {more} are"
