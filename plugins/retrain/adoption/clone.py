"""Fetches one commit of a repository into a folder, and reads its small texts. Nothing of the repository is run."""

from __future__ import annotations

import codecs
import re
from pathlib import Path, PurePosixPath

from retrain.adoption.errors import EmptyRepositoryError
from retrain.adoption.snapshot import Snapshot, is_vendored
from retrain.errors import OriginError, UnknownCommitError
from retrain.work import shallow_checkout, workspace
from retrain.work.origin import Origin

_ASK_SECONDS = 60.0
_FETCH_SECONDS = 240.0
_MOST_BYTES = 2 * 10**9
_FREE_MB = 500
_TEXT_BYTES = 400_000
_ALL_TEXT_BYTES = 40 * 10**6
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_TEXTS = (
    ".py",
    ".sh",
    ".bash",
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".in",
    ".cfg",
    ".json",
    ".lock",
    ".dvc",
    ".ini",
    ".md",
)
_NAMES = (
    "Makefile",
    "Pipfile",
    "Dockerfile",
    ".env.example",
    ".python-version",
    ".gitmodules",
    ".gitattributes",
    "config",
)
_POINTER_BYTES = 300


def fetch(url: str, reference: str, folder: Path) -> Snapshot:
    """Fetch the commit of `reference`, or of the origin's HEAD if it is empty, into the new folder `folder`.

    Raises:
        OriginError: the origin does not exist, does not answer, or the commit is too large.
        EmptyRepositoryError: the origin has no commit.
        UnknownCommitError: it has no such tag, branch or commit.
        DiskFullError: the disk has too little space.
    """
    # No pipeline's file names a connection yet: Git has the access of this machine.
    origin = Origin(url)
    known = shallow_checkout.references(origin, cwd=folder.parent, timeout=_ASK_SECONDS)
    if not known:
        raise EmptyRepositoryError(f"{url} has no commit. Push one, then check again.")
    wanted, commit = _resolved(url, reference, known)
    workspace.require_space(folder.parent, _FREE_MB)
    try:
        entries = shallow_checkout.shallow_checkout(
            origin, wanted, commit, folder, timeout=_FETCH_SECONDS, most_bytes=_MOST_BYTES
        )
    except OriginError as error:
        if "not our ref" not in str(error):
            raise
        raise UnknownCommitError(
            f"{url} does not have the commit {commit}, or does not hand it out. Push it, or name a tag or branch."
        ) from error
    tags = {name.removeprefix("refs/tags/"): each for name, each in known.items() if name.startswith("refs/tags/")}
    return Snapshot(
        url,
        reference or _branch(known) or "HEAD",
        commit,
        tuple(sorted(tags)),
        tuple(sorted(tag for tag, each in tags.items() if each == commit)),
        {entry.path: entry.size or 0 for entry in entries},
        {entry.path: entry.mode for entry in entries},
        _texts(folder, entries),
    )


def _resolved(url: str, reference: str, known: dict[str, str]) -> tuple[str, str]:
    """The full reference or commit to fetch, and its commit."""
    if not reference:
        if "HEAD" not in known:
            raise UnknownCommitError(f"{url} has no default branch. Name a tag, branch or commit: REF=main")
        return "HEAD", known["HEAD"]
    for full in (f"refs/tags/{reference}", f"refs/heads/{reference}"):
        if full in known:
            return full, known[full]
    if _COMMIT.fullmatch(reference):
        return reference, reference
    if _SHORT.fullmatch(reference):
        found = {commit for commit in known.values() if commit.startswith(reference)}
        if len(found) == 1:
            commit = found.pop()
            return commit, commit
        raise UnknownCommitError(f"{url} does not name one commit for {reference}. Write all 40 digits of the commit.")
    raise UnknownCommitError(f"{url} has no tag or branch {reference}. Push it, or name one that exists.")


def _branch(known: dict[str, str]) -> str:
    """The branch that HEAD seems to be."""
    same = [name for name, commit in known.items() if name.startswith("refs/heads/") and commit == known.get("HEAD")]
    names = [name.removeprefix("refs/heads/") for name in same]
    return next((name for name in ("main", "master") if name in names), names[0] if names else "")


def _texts(folder: Path, entries: list[shallow_checkout.TreeEntry]) -> dict[str, str]:
    """The small texts among these files, those nearest to the top first, up to 40 MB in all."""
    texts: dict[str, str] = {}
    left = _ALL_TEXT_BYTES
    for entry in sorted(entries, key=lambda entry: (entry.path.count("/"), entry.path)):
        size = entry.size or 0
        # A link could lead out of the checkout.
        if not entry.mode.startswith("100") or size > min(_TEXT_BYTES, left) or is_vendored(entry.path):
            continue
        path = PurePosixPath(entry.path)
        if not (
            path.suffix in _TEXTS or path.name in _NAMES or path.name.startswith("Dockerfile") or size < _POINTER_BYTES
        ):
            continue
        file = folder / entry.path
        if file.is_file() and not file.is_symlink():
            text = _decoded(file.read_bytes())
            if path.suffix in _TEXTS or path.name in _NAMES or "\0" not in text:
                texts[entry.path] = text
                left -= size
    return texts


def _decoded(content: bytes) -> str:
    """The text of a file. PowerShell writes requirements.txt in UTF-16, which uv reads."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")
