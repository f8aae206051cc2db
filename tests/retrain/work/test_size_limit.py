from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from retrain.work.size_limit import SizeLimit


def test_a_process_is_ended_once_its_folder_is_over_the_limit(tmp_path: Path) -> None:
    limit = SizeLimit(tmp_path, 10)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / "small").write_bytes(b"x" * 10)
        limit(child.pid)
        assert (limit.exceeded, child.poll()) == (False, None)
        (tmp_path / "more").write_bytes(b"x")
        limit(child.pid)
        assert (limit.exceeded, child.wait(30)) == (True, -15)
        limit(child.pid)  # the process is gone, and nothing is raised
    finally:
        child.kill()
        child.communicate()
