"""The files in the listings of directories on the remote, each listing read once, or known from the index by its MD5."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from retrain.store import s3
from retrain.store.fetch import members_of
from retrain.store.ledger_index import DocumentFacts, DocumentVersion, LedgerIndex
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject

_FORM = "folder 1"


def folder_members(
    remote: Remote, folders: Sequence[CachedObject], index: LedgerIndex
) -> Iterator[tuple[CachedObject, list[CachedObject]]]:
    """Each of these directories with its files. A listing that is not on the remote has none.

    The name of a listing is the MD5 of its content, so the content that the index knows of it is the recorded one. It does not
    say that the remote still holds it.

    Raises:
        TamperedError: a listing that was read has other content than was recorded.
        StoreError: S3 refuses a request or does not answer.
    """
    versions = {folder.key: DocumentVersion(folder.key, folder.checksum, 0) for folder in folders}
    known = index.known(_FORM, versions.values())
    unknown = [folder for folder in folders if folder.key not in known]
    with ThreadPoolExecutor(s3.AT_ONCE) as pool:
        read = dict(zip((folder.key for folder in unknown), pool.map(lambda f: _read(remote, f), unknown), strict=True))
    index.keep(_FORM, {versions[key]: facts for key, facts in read.items() if facts is not None})
    for folder in folders:
        facts = known[folder.key] if folder.key in known else read[folder.key] or ()
        pairs = (fact.split("\t", 1) for fact in facts)
        yield folder, [CachedObject(md5, folder.stage, f"{folder.path}/{path}") for md5, path in pairs]


def forget_others(folders: Iterable[str], index: LedgerIndex) -> None:
    """Drop what the index holds of directories whose keys are not among `folders`."""
    index.forget_others(_FORM, folders)


def _read(remote: Remote, folder: CachedObject) -> DocumentFacts | None:
    content = remote.find(folder.key)
    if content is None:
        return None
    inside = len(folder.path) + 1
    return tuple(f"{item.md5}\t{item.path[inside:]}" for item in members_of(folder, content, remote))
