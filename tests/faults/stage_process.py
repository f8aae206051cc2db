"""The process of a stage that runs now."""

from __future__ import annotations

from pathlib import Path

import psutil
from running_stack import Live


def training(live: Live, pipeline: str) -> psutil.Process | None:
    """The process of the pipeline's stage `train`; None if it does not run."""
    folder = live.stack.state / "retrain" / "workspaces" / pipeline
    for process in psutil.process_iter(["cwd", "cmdline"]):
        in_folder = Path(process.info["cwd"] or "/").is_relative_to(folder)
        if in_folder and (process.info["cmdline"] or [])[-2:] == ["-m", "pipeline.train"]:
            return process
    return None
