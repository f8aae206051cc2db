"""The days that the watch has found in S3, on disk, so that a restart does not ask for them again."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from retrain.work.files import write_whole

log = logging.getLogger(__name__)

_KEPT = 60  # days of each kind and pipeline: older ones are expected no more


@dataclass
class KnownDays:
    """The days (YYYY-MM-DD) whose data has landed, and those whose run is in the ledger: neither can change.

    One file a pipeline in `folder`; in memory only if that is None.
    """

    folder: Path | None = None
    _landed: dict[str, set[str]] = field(default_factory=dict)
    _recorded: dict[str, set[str]] = field(default_factory=dict)
    _full: bool = False

    def landed(self, pipeline: str) -> frozenset[str]:
        """The pipeline's days whose data was seen to have landed."""
        self._read(pipeline)
        return frozenset(self._landed[pipeline])

    def recorded(self, pipeline: str) -> frozenset[str]:
        """The pipeline's days of which a run was found in the ledger."""
        self._read(pipeline)
        return frozenset(self._recorded[pipeline])

    def add(
        self, pipeline: str, *, landed: frozenset[str] = frozenset(), recorded: frozenset[str] = frozenset()
    ) -> None:
        """Remember days. A full disk is logged once: they are then asked for again after a restart."""
        if landed <= self.landed(pipeline) and recorded <= self.recorded(pipeline):
            return
        self._landed[pipeline] = set(sorted(self._landed[pipeline] | landed)[-_KEPT:])
        self._recorded[pipeline] = set(sorted(self._recorded[pipeline] | recorded)[-_KEPT:])
        if self.folder is None:
            return
        document = {"landed": sorted(self._landed[pipeline]), "recorded": sorted(self._recorded[pipeline])}
        try:
            write_whole(self._file(pipeline), json.dumps(document).encode())
            self._full = False
        except OSError:
            if not self._full:
                log.exception("the days of %s could not be saved below %s", pipeline, self.folder)
            self._full = True

    def _read(self, pipeline: str) -> None:
        """Read the pipeline's file once. One that cannot be read is logged, and its days are asked for again."""
        if pipeline in self._landed:
            return
        landed: set[str] = set()
        recorded: set[str] = set()
        if self.folder is not None:
            try:
                document = json.loads(self._file(pipeline).read_text("utf-8"))
                landed, recorded = ({str(day) for day in document[name]} for name in ("landed", "recorded"))
            except FileNotFoundError:
                log.info("no days of %s are known yet", pipeline)
            except (OSError, ValueError, KeyError, TypeError):
                log.exception("the days of %s cannot be read and are asked for again", pipeline)
                landed, recorded = set(), set()
        self._landed[pipeline], self._recorded[pipeline] = landed, recorded

    def _file(self, pipeline: str) -> Path:
        return Path(self.folder or ".") / f"{pipeline}.json"
