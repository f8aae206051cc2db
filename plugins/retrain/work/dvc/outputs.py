"""The outputs of a run by content: which objects have to be on the remote so that they can be restored."""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrain.errors import DvcLockError
from retrain.work.dvc.declared import DeclaredOutput, Stage, TrackedFile

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class CachedObject:
    """One content-addressed object, with the first output and file that need it."""

    md5: str
    stage: str
    path: str

    @property
    def checksum(self) -> str:
        """The MD5 of its content, 32 hex digits."""
        return self.md5.removesuffix(".dir")

    @property
    def key(self) -> str:
        """Its path in a cache or a remote."""
        return f"files/md5/{self.md5[:2]}/{self.md5[2:]}"


@dataclass(frozen=True)
class Output:
    """One output with its content. `md5` ends in `.dir` for a directory. `size` is in bytes. `executable`: the file has an x bit.

    `stage` is the name of the stage; of tracked data it is the path of the .dvc file.

    `stored`: DVC keeps it in the cache and pushes it to our remote. An output with `cache: false` or `push: false` is on neither,
    so it cannot be restored.
    """

    stage: str
    path: str
    md5: str
    size: int
    executable: bool = False
    stored: bool = True

    @classmethod
    def of_stage(cls, stage: Stage, out: DeclaredOutput) -> Output:
        """An output that dvc.lock has the content of, `cache: false` included.

        Raises:
            DvcLockError: dvc.lock has no MD5 for it as DVC 3 computes them, so it cannot be proven or restored.
        """
        whose = f"dvc.lock: {out.path} (stage {stage.name})"
        if out.md5 is None or not _MD5.fullmatch(out.md5):
            raise DvcLockError(
                f"{whose} has {'no MD5' if out.md5 is None else f'the MD5 {out.md5!r}'}, so it cannot be proven or restored. "
                "Let the stage write it inside the checkout, so that DVC keeps it on our remote, in a new release."
            )
        if out.hash != "md5":
            raise DvcLockError(
                f"{whose} has an MD5 of DVC 2, which hashes other bytes and stores them elsewhere. "
                "In a new release use DVC 3, or no DVC of its own, and a dvc.lock written by DVC 3, or none."
            )
        return cls(stage.name, out.path, out.md5, out.size or 0, out.executable, stored=out.cached and out.pushed)

    @classmethod
    def of_file(cls, tracked: TrackedFile, out: DeclaredOutput) -> Output:
        """The data of a .dvc file. A run keeps it on our remote, also if the file says `push: false`.

        Raises:
            DvcLockError: the file has no MD5 for it as DVC 3 computes them, so it cannot be proven or restored.
        """
        if out.md5 is None or not _MD5.fullmatch(out.md5) or out.hash != "md5":
            raise DvcLockError(
                f"{tracked.file} has no MD5 of DVC 3 for {out.path}, so it cannot be proven or restored. "
                "Run dvc commit with DVC 3, and release the changed file."
            )
        return cls(tracked.file, out.path, out.md5, out.size or 0, out.executable)

    @property
    def item(self) -> CachedObject:
        """Its object: the file, or the listing of the directory."""
        return CachedObject(self.md5, self.stage, self.path)
