"""The README's pictures, taken from a stack on which `make demo` has run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from screenshot import ScreenshotError, take_screenshot
from stack import ROOT
from stack_loading import load_stack
from stack_model import SettingsError

PICTURES = ROOT / "infra" / "pictures"
_SECONDS = 60.0


def main() -> int:
    """Returns 0, or 1 after one sentence on stderr."""
    try:
        stack = load_stack(ROOT, os.environ)
        demo = stack.state / "demo.json"
        if not demo.is_file():
            print(f"{demo} is not there: run `make demo` first.", file=sys.stderr)
            return 1
        days = json.loads(demo.read_text(encoding="utf-8"))["days"]
        alerted = next(day for day in days if day["alert"])
        dag = f"{stack.airflow_url}/dags/trip_duration"
        shots: list[tuple[str, str, int, int, str, int]] = [
            ("grid.png", dag, 1500, 560, "reproduce", 260),
            ("release.png", f"{dag}/runs/{alerted['run_id']}/plugin/release", 1500, 860, "Release", 0),
        ]
        for name, url, width, height, text, drag in shots:
            take_screenshot(
                url, Path(PICTURES / name), width=width, height=height, wait_for=text, seconds=_SECONDS, drag=drag
            )
            print(PICTURES.relative_to(ROOT) / name)
    except (ScreenshotError, SettingsError, StopIteration) as error:
        print(f"No picture: {error or 'no day of the demo alerted'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
