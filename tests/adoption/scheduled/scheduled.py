"""The pipelines on the stack of these tests."""

from __future__ import annotations

# One waits until nothing has come for a minute, the others for a marker. One has its data on a server of its own, one has no tags.
WAITING = ("dvc_added_sample", "dated_files", "reference_data", "untagged")
FETCHING = "fetching"
SHAPES = (*WAITING, FETCHING)
