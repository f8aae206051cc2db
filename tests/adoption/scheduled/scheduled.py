"""The pipelines on the stack of these tests."""

from __future__ import annotations

# One waits for a marker, the other until nothing has come for a minute.
WAITING = ("dvc_added_sample", "dated_files")
FETCHING = "fetching"
SHAPES = (*WAITING, FETCHING)
