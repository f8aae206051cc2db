import os
import sys
from pathlib import Path

import psutil

from retrain.work import child_memory, process


def test_the_memory_of_a_child_s_children_is_sampled_while_it_runs(tmp_path: Path) -> None:
    """The grandchild ends when it was seen, so that the test waits for no clock."""
    peaks: list[int] = []

    def sample(pid: int) -> None:
        peaks.append(child_memory.peak_below(pid))
        if peaks[-1] > 200 << 20:
            (tmp_path / "seen").touch()

    hungry = "import pathlib; held = b'x' * (200 << 20)\nwhile not pathlib.Path('seen').exists(): pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hungry!r}], check=True)"
    done = process.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ), timeout=60, quiet=True, each_sample=sample
    )
    assert (done.returncode, done.timed_out) == (0, False)
    assert 200 << 20 < max(peaks) < 400 << 20


def test_a_process_that_has_ended_has_no_memory_below_it() -> None:
    assert child_memory.peak_below(max(psutil.pids()) + 10_000) == 0
