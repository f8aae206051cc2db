"""One number of a place."""

import statistics
import sys
from pathlib import Path

import iniconfig

place, kind, digits, folder = sys.argv[1:]
assert int(iniconfig.IniConfig("settings.ini")["model"]["digits"]) == int(digits)
snow = [float(line) for line in Path(f"work/{place}/sorted.txt").read_text().split()]
Path(folder).mkdir(exist_ok=True)
number = max(snow) if kind == "max" else statistics.mean(snow)
Path(folder, f"{place}-{kind}.txt").write_text(str(round(number, int(digits))))
