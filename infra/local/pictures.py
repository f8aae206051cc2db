"""Take the pictures of the README and the documents from a stack on which `make demo` has run."""

from __future__ import annotations

import json
import os
import sys

from browser import ScreenshotError, open_browser
from screenshot import Page, take_screenshot
from stack import ROOT
from stack_loading import load_stack
from stack_model import SettingsError, Stack

PICTURES = ROOT / "infra" / "pictures"
_PHONE = 400  # pixels
_DESKTOP = 1500


def pages(stack: Stack, run_id: str) -> dict[str, Page]:
    """The pages by the names of their pictures. `run_id` is the run whose Release tab is shown."""
    dag = f"{stack.airflow_url}/dags/trip_duration"
    return {
        "grid": Page(dag, _DESKTOP, 560, "reproduce", drag=260),
        "release": Page(f"{dag}/runs/{run_id}/plugin/release", _DESKTOP, 860, "Release"),
        "housekeeping": Page(
            f"{stack.airflow_url}/dags/retrain_housekeeping", _DESKTOP, 560, "remove_workspaces", drag=260
        ),
        "alerts": Page(stack.alerts_url, _PHONE, 860, "Open"),
        "alerts-dark": Page(stack.alerts_url, _PHONE, 860, "Open", dark=True),
        "alerts-desktop": Page(stack.alerts_url, _DESKTOP, 860, "Open"),
        "alerts-desktop-dark": Page(stack.alerts_url, _DESKTOP, 860, "Open", dark=True),
    }


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
        with open_browser(_DESKTOP, 860) as browser:
            for name, page in pages(stack, alerted["run_id"]).items():
                out = PICTURES / f"{name}.png"
                take_screenshot(browser, page, out)
                print(out.relative_to(ROOT))
    except (ScreenshotError, SettingsError) as error:
        print(f"No picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
