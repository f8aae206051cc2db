"""The process of a stage that runs now."""

from __future__ import annotations

from pathlib import Path

import psutil
from running_stack import Live


def running_stage(live: Live, pipeline: str, *words: str) -> psutil.Process | None:
    """The process in a workspace of the pipeline whose command ends with `words`; None if there is none."""
    folder = live.stack.state / "retrain" / "workspaces" / pipeline
    for process in psutil.process_iter(["cwd", "cmdline"]):
        in_folder = Path(process.info["cwd"] or "/").is_relative_to(folder)
        if in_folder and (process.info["cmdline"] or [])[-len(words) :] == list(words):
            return process
    return None
