"""Outputs as a cache of DVC keeps them: their objects on a remote and in a folder, also those that DVC 2 has stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.fs import localfs
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.tree import Tree
from remote_failures import Refused

LEGACY = "md5-dos2unix"
_AT_ONCE = 8


@dataclass(frozen=True)
class Places:
    """Where an object is on a remote. `files` are the files of an output on a remote that keeps versions, by MD5."""

    fs: Any
    top: str
    settings: Mapping[str, Any]
    out: Any

    def __call__(self, md5: str) -> str:
        files = {each["md5"]: each for each in self.out.files or ()}
        parts = self.fs.flavour.sep.join(self.out.repo.fs.relparts(self.out.fs_path, self.out.repo.root_dir))
        if md5 in files:
            return self.versioned(self.fs.join(self.top, parts, files[md5]["relpath"]), files[md5].get("version_id"))
        if self.out.meta.version_id:
            return self.versioned(self.fs.join(self.top, parts), self.out.meta.version_id)
        below = () if self.out.hash_name == LEGACY else ("files", "md5")
        worktree = (".dvc",) if str(self.settings.get("worktree", "")).lower() == "true" else ()
        return str(self.fs.join(self.top, *worktree, *below, md5[:2], md5[2:]))

    def versioned(self, path: str, version: str | None) -> str:
        return str(self.fs.version_path(path, version)) if version and hasattr(self.fs, "version_path") else path


def of_objects(out: Any, fs: Any, place: Places, folder: Path, *, look: bool) -> dict[str, Any]:
    wanted = out.hash_info.value
    if not wanted.endswith(".dir"):
        members = [wanted]
    elif out.files:
        tree = Tree.from_list(out.files, hash_name=out.hash_name)
        members = sorted({hash_info.value for _, _, hash_info in tree})
        keep(tree.as_bytes(), kept_at(folder, out.hash_name, wanted))
    else:
        fetch(fs, place, wanted, folder, out.hash_name)
        members = members_of(kept_at(folder, out.hash_name, wanted))

    def get(md5: str) -> int:
        if look:
            return int(fs.info(place(md5)).get("size") or 0)
        return fetch(fs, place, md5, folder, out.hash_name)

    sizes = list(at_once(get, members))
    return {"files": len(members), "bytes": sum(sizes), "size": sum(sizes)}


def at_once(get: Callable[[str], int], members: list[str]) -> Iterator[int]:
    """`get` of the first alone, since all others would fail as it does."""
    yield from map(get, members[:1])
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        yield from pool.map(get, members[1:])
    finally:
        pool.shutdown(cancel_futures=True)


def fetch(fs: Any, place: Places, md5: str, folder: Path, hash_name: str) -> int:
    to = kept_at(folder, hash_name, md5)
    to.parent.mkdir(parents=True, exist_ok=True)
    fs.get_file(place(md5), str(to))
    _, found = hash_file(str(to), localfs, hash_name)
    if found.value != md5.removesuffix(".dir"):
        size = to.stat().st_size
        to.unlink()
        raise Refused("damaged", f"{size:,} bytes with the MD5 {found.value} arrived for {md5}")
    return to.stat().st_size


def rehashed(wanted: str, folder: Path) -> str:
    """Bring fetched objects of DVC 2 to the form of DVC 3; returns the MD5 that DVC 3 gives the output."""
    if not wanted.endswith(".dir"):
        return moved(wanted, folder)
    listing = json.loads(kept_at(folder, LEGACY, wanted).read_bytes())
    new = {md5: moved(md5, folder) for md5 in {each["md5"] for each in listing}}
    tree = Tree.from_list([{**each, "md5": new[each["md5"]]} for each in listing], hash_name="md5")
    tree.digest()
    keep(tree.as_bytes(), kept_at(folder, "md5", tree.hash_info.value))
    return str(tree.hash_info.value)


def moved(md5: str, folder: Path) -> str:
    old = kept_at(folder, LEGACY, md5)
    _, found = hash_file(str(old), localfs, "md5")
    to = kept_at(folder, "md5", found.value)
    to.parent.mkdir(parents=True, exist_ok=True)
    old.rename(to)
    return str(found.value)


def kept_at(folder: Path, hash_name: str, md5: str) -> Path:
    return folder.joinpath(*(() if hash_name == LEGACY else ("files", "md5")), md5[:2], md5[2:])


def keep(content: bytes, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(content)


def members_of(listing: Path) -> list[str]:
    return sorted({str(each["md5"]) for each in json.loads(listing.read_bytes())})
