"""The releases that the watch last saw live, on disk, so that one made while the watch restarts is reported too."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from retrain.errors import RetrainError
from retrain.run.release import Release
from retrain.work.files import write_whole

log = logging.getLogger(__name__)


@dataclass
class Pins:
    """One file a pipeline in `folder`; in memory only if that is None."""

    folder: Path | None = None
    _seen: dict[str, Release | None] = field(default_factory=dict)
    _saved: dict[str, Release | None] = field(default_factory=dict)
    _full: bool = False

    def news(self, pipeline: str, live: Release | None) -> tuple[Release, Release | None] | None:
        """The release that has become live since the last look, and the one before it; None if the release is the same.

        The first release that is ever seen is no news. The file is written at the following look, when the news has been taken
        in: a crash in between reports it twice rather than never.
        """
        if pipeline not in self._seen:
            known = self._read(pipeline)
            if known is False:
                self._save(pipeline, live)
                return None
            self._seen[pipeline] = self._saved[pipeline] = known
        before = self._seen[pipeline]
        if live == before:
            if self._saved.get(pipeline, False) != live:
                self._save(pipeline, live)
            return None
        self._seen[pipeline] = live
        return (live, before) if live is not None else None

    def _read(self, pipeline: str) -> Release | Literal[False] | None:
        """The release on disk; None if none was live, False if there is no file that can be read."""
        if self.folder is None:
            return False
        try:
            document = json.loads((self.folder / f"{pipeline}.json").read_text("utf-8"))
            return None if document is None else Release(document["tag"], document["commit"])
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, RetrainError):
            log.exception(
                "the pin of %s that was last seen cannot be read; the present one is taken as known", pipeline
            )
            return False

    def _save(self, pipeline: str, live: Release | None) -> None:
        self._seen[pipeline] = live
        document = None if live is None else {"tag": live.tag, "commit": live.commit}
        try:
            if self.folder is not None:
                write_whole(self.folder / f"{pipeline}.json", json.dumps(document).encode())
        except OSError:
            if not self._full:  # tried again at each look
                log.exception("the pin of %s could not be saved below %s", pipeline, self.folder)
            self._full = True
            return
        self._saved[pipeline], self._full = live, False
