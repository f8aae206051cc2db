"""The console scripts."""

import argparse
import json
import platform
import re
from pathlib import Path
from statistics import mean

import iniconfig


def forecast():
    """Tomorrow needs the mean of the hours before."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, required=True)
    options = parser.parse_args()
    digits = int(iniconfig.IniConfig("settings.ini")["columns"]["digits"])
    hours = [float(line) for path in sorted(Path("data/load").glob("*.csv")) for line in path.read_text().split()]
    after = re.search(r"after: \W?([\d-]+)", Path("params.yaml").read_text()).group(1)
    found = {"after": after, "load": round(mean(hours), digits), "python": platform.python_version().rpartition(".")[0]}
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(found))
    options.metrics.write_text(f"hours: {len(hours)}\nmean: {found['load']}\n")
