"""Imported data, fetched from where it was imported at the revision of its .dvc file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dvc.fs import download, localfs
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.transfer import transfer
from release_remotes import Remotes, open_fs
from remote_failures import Refused, reason, said, without_login
from remote_objects import LEGACY


def from_source(
    repo: Repo, remotes: Remotes, out: Any, folder: Path, where: dict[str, Any], *, look: bool
) -> dict[str, Any]:
    """Fetch imported data from where it was imported, at the revision of the .dvc file. Only the recorded content is accepted."""
    dep = out.stage.deps[0]
    where.update(
        address=without_login(str(dep.def_repo["url"] if out.stage.is_repo_import else dep.def_path)), remote=None
    )
    if out.stage.is_repo_import:
        fs, path = dep.fs, dep.fs_path
        add_access(fs.repo.config, remotes)
    else:
        fs, path = opened_source(dep, remotes, where)
    try:
        if look:
            fs.info(path)
            return {"files": 1, "bytes": 0, "size": 0}
        to = folder / "import" / out.hash_info.value
        to.parent.mkdir(parents=True, exist_ok=True)
        download(fs, path, str(to))
    except Exception as error:
        why = reason(error)
        raise Refused("import_gone" if why == "absent" else why, said(error)) from error
    odb = repo.cache.legacy if out.hash_name == LEGACY else repo.cache.local
    staging, _, made = build(odb, str(to), localfs, out.hash_name, ignore=out.dvcignore)
    if made.hash_info.value != out.hash_info.value:
        raise Refused(
            "import_changed", f"it has the MD5 {made.hash_info.value} now, {where['file']} has {out.hash_info.value}"
        )
    transfer(staging, odb, {made.hash_info}, shallow=False)
    files = [each for each in to.rglob("*") if each.is_file()] if to.is_dir() else [to]
    size = sum(each.stat().st_size for each in files)
    return {"files": len(files), "bytes": size, "size": size}


def add_access(config: dict[str, Any], remotes: Remotes) -> None:
    """Add our connections to the remotes of the repository that data was imported from."""
    for name, settings in config["remote"].items():
        if "url" in settings:
            settings.update(remotes.with_access(settings, remotes.connections.get(name)))


def opened_source(dep: Any, remotes: Remotes, where: dict[str, Any]) -> tuple[Any, str]:
    url, own = str(dep.def_path), dict(dep.def_fs_config or {}) if hasattr(dep, "def_fs_config") else {}
    through = re.match(r"remote://([^/]+)(.*)", url)
    if through:
        name = through[1].lower()
        settings = remotes.resolved(name)
        where["connection"] = remotes.connection(name, settings["url"])
        settings = {
            **remotes.with_access(settings, remotes.connections.get(name)),
            "url": settings["url"].rstrip("/") + through[2],
        }
    elif "://" in url:
        where["connection"] = remotes.connection("", url)
        settings = remotes.with_access({**own, "url": url}, None)
    else:
        if not Path(dep.fs_path).exists():
            raise Refused("import_gone", "it is a path of another machine")
        return dep.fs, dep.fs_path
    fs, path = open_fs(settings)
    version = dep.meta.version_id if dep.meta and hasattr(fs, "version_path") else None
    return fs, str(fs.version_path(path, version)) if version else path
