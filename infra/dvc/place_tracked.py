"""Put data that .dvc files and frozen stages name from the cache into the checkout in the current folder.

Run it with the Python of the deployment's own DVC environment. On stdin it reads {"outputs": [{"file", "stage", "path", "md5"}],
"hold": ["<.dvc file>"]}. The .dvc file or dvc.lock of an output gets this MD5 of DVC 3, if it has another one of the same content.
The imports in `hold` are frozen and get the `md5` of their .dvc file, so that `dvc repro` neither updates them nor asks their sources.
On stdout it prints {"placed": <number of outputs>}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = json.loads(sys.stdin.buffer.read())
    with document:
        json.dump({"placed": place(Repo(uninitialized=True), request)}, document)
        document.write("\n")
    return 0


def place(repo: Repo, request: Mapping[str, Any]) -> int:
    wanted = {(each["file"], each["stage"], each["path"]): each["md5"] for each in request["outputs"]}
    placed = 0
    with repo.lock:
        for stage in repo.index.stages:
            file, changed = relative(stage.path, repo), False
            for out in stage.outs:
                md5 = wanted.get((file, stage.addressing, relative(out.fs_path, repo)))
                if md5 is not None:
                    changed |= renamed(out, md5)
                    out.checkout(force=True)
                    placed += 1
            # Of a file without its own MD5, as after an edit, DVC would look at the source again, frozen or not.
            if file in request["hold"] and (not stage.frozen or stage.changed_stage()):
                stage.frozen = changed = True
            if changed:
                write(stage)
    return placed


def renamed(out: Any, md5: str) -> bool:
    """Give an output its MD5 of DVC 3, without versions of a remote; returns False if it has it."""
    if (out.hash_name, out.hash_info.value, out.files) == ("md5", md5, None):
        return False
    out.hash_name, out.hash_info = "md5", HashInfo("md5", md5)
    out.files = out.obj = None
    # Without the MD5 of DVC 2 and the versions of a remote, which DVC keeps there.
    out.meta = Meta(isdir=out.meta.isdir, size=out.meta.size, nfiles=out.meta.nfiles, isexec=out.meta.isexec)
    return True


def write(stage: Any) -> None:
    if isinstance(stage, PipelineStage):
        stage.dump(update_pipeline=False)
        return
    stage.md5 = stage.compute_md5()
    stage.dump()


def relative(path: str, repo: Repo) -> str:
    return Path(os.path.relpath(path, repo.root_dir)).as_posix()


if __name__ == "__main__":
    sys.exit(main())
