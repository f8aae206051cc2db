"""Fetch data that .dvc files and frozen stages of the checkout in the current folder name, from the release's own remotes.

Run it with the Python of the deployment's own DVC environment. On stdin it reads {"outputs": [{"file", "stage", "path"}], "look": bool,
"folder": "<empty folder>", "remotes": {"<name>": CONNECTION}, "s3": CONNECTION}, where CONNECTION is {"connection", "kind", "options",
"more"}: options of a DVC remote. An option {"content": "<text>"} is a file that exists in memory only. `s3` is for S3 remotes that
`remotes` does not name. `look`: ask for each object without fetching it.

On stdout it prints {"outputs": [{"path", "md5", "size", "source", "address", "files", "bytes"}]}; the objects are in `folder`, in
`files/md5` as in a cache of DVC 3, also those that DVC 2 has stored. At the first failure it prints {"refused": {"why", "detail",
"path", "file", "remote", "address", "connection"}} and exits with 1. No secret is printed, and nothing else is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from imported_data import from_source
from release_remotes import Remotes, own_remotes
from remote_failures import Refused, reason, said, scrubbed, secret_values, secrets
from remote_objects import LEGACY, Places, of_objects, rehashed


def main() -> int:
    # DVC and its dependencies may print secrets: only the document is printed.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    answer: dict[str, Any]
    try:
        answer = answered(json.loads(sys.stdin.buffer.read()))
    except Refused as error:
        answer = {"refused": error.document}
    except Exception as error:  # noqa: BLE001 - a traceback may have a secret
        answer = {"refused": {"why": "other", "detail": said(error)}}
    with document:
        json.dump(json.loads(scrubbed(json.dumps(answer))), document, sort_keys=True)
        document.write("\n")
    return int("refused" in answer)


def answered(request: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(request["folder"])
    connections = {name.lower(): each for name, each in request["remotes"].items()}
    for each in (*connections.values(), request["s3"]):
        secrets.update(secret_values(each))
    settings = {"cache": {"dir": str(folder)}, "core": {"site_cache_dir": str(folder / "site")}}
    repo = Repo(uninitialized=True, config=settings)
    remotes = Remotes(own_remotes(repo), connections, request["s3"])
    outs = {
        (relative(out.stage.path, repo), out.stage.addressing, relative(out.fs_path, repo)): out
        for stage in repo.index.stages
        for out in stage.outs
        if out.protocol == "local"
    }
    wanted = [outs[each["file"], each["stage"], each["path"]] for each in request["outputs"]]
    return {"outputs": [fetched(repo, remotes, out, folder, look=request["look"]) for out in wanted]}


def fetched(repo: Repo, remotes: Remotes, out: Any, folder: Path, *, look: bool) -> dict[str, Any]:
    """One output: from its remote, else from where it was imported."""
    where: dict[str, Any] = {"path": relative(out.fs_path, repo), "file": relative(out.stage.path, repo)}
    wanted = out.hash_info.value if out.hash_info else None
    try:
        if not wanted:
            raise Refused("unhashed")
        found = None
        if not out.stage.is_repo_import:
            found = from_remote(remotes, out, folder, where, look=look)
        if found is None:
            found = from_source(repo, remotes, out, folder, where, look=look)
        if out.hash_name == LEGACY and not look:
            wanted = rehashed(wanted, folder)
    except Refused as error:
        raise Refused(**{**where, **{k: v for k, v in error.document.items() if v is not None}}) from error
    except Exception as error:
        raise Refused(reason(error), said(error), **where) from error
    source = "import" if out.stage.is_repo_import else where.get("remote") or "import"
    return {"path": where["path"], "md5": wanted, "source": source, "address": where.get("address", ""), **found}


def from_remote(
    remotes: Remotes, out: Any, folder: Path, where: dict[str, Any], *, look: bool
) -> dict[str, Any] | None:
    """Fetch the objects of an output from its remote. None if it was imported and they are not there."""
    try:
        name = remotes.chosen(out)
        where.update(remote=name, address=remotes.address(name))
        where["connection"] = remotes.connection(name, remotes.resolved(name)["url"])
        fs, top, settings = remotes.opened(name)
        return of_objects(out, fs, Places(fs, top, settings, out), folder, look=look)
    except Refused as error:
        if out.stage.is_import and error.document["why"] in ("no_remote", "no_default", "local_remote"):
            return None
        raise
    except Exception as error:
        if out.stage.is_import and reason(error) == "absent":
            return None
        raise


def relative(path: str, repo: Repo) -> str:
    return Path(os.path.relpath(path, repo.root_dir)).as_posix()


if __name__ == "__main__":
    sys.exit(main())
