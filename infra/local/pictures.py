"""Take the README's pictures from a stack on which `make demo` has run."""

from __future__ import annotations

import json
import os
import sys

from browser import ScreenshotError
from screenshot import take_screenshot
from stack import ROOT
from stack_loading import load_stack
from stack_model import SettingsError

PICTURES = ROOT / "infra" / "pictures"
_SECONDS = 60.0


def main() -> int:
    """Save the pictures in `infra/pictures`. Returns 0, or 1 after one sentence on stderr."""
    try:
        stack = load_stack(ROOT, os.environ)
        demo = stack.state / "demo.json"
        if not demo.is_file():
            print(f"{demo} does not exist. Run `make demo` first.", file=sys.stderr)
            return 1
        days = json.loads(demo.read_text(encoding="utf-8"))["days"]
        alerted = next((day for day in days if day["alert"]), None)
        if alerted is None:
            print("No picture: no day of the demo had an alert.", file=sys.stderr)
            return 1
        dag = f"{stack.airflow_url}/dags/trip_duration"
        release = f"{dag}/runs/{alerted['run_id']}/plugin/release"
        # File, address, height in pixels, text to wait for, and by how many pixels the divider of the panels is moved.
        for name, url, height, text, drag in (
            ("grid.png", dag, 560, "reproduce", 260),
            ("release.png", release, 860, "Release", 0),
        ):
            out = PICTURES / name
            take_screenshot(url, out, width=1500, height=height, wait_for=text, seconds=_SECONDS, drag=drag)
            print(out.relative_to(ROOT))
    except (ScreenshotError, SettingsError) as error:
        print(f"No picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
