"""The failures of recording a run whose key the ledger has already, one class each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrain.errors import Cause, FinalError, LedgerConflictError

if TYPE_CHECKING:
    from retrain.run.run_record import RunRecord


class OtherOutputsError(LedgerConflictError):
    """The ledger has the run with other outputs, which the same code made in the same environment. `kept` is its record."""

    def __init__(self, message: str, kept: RunRecord) -> None:
        super().__init__(message)
        self.kept = kept


class RecordedOutputsGoneError(FinalError, cause=Cause.CODE):
    """Objects of a recorded run are gone, and a stage that does not repeat itself cannot make them again."""
