"""The mean speed of the ships."""

from pathlib import Path
from statistics import mean

import iniconfig
from harbour.units import named

digits = int(iniconfig.IniConfig("settings.ini")["speed"]["digits"])
speeds = [float(line) for line in Path("ships.csv").read_text().split()]
Path("speed.txt").write_text(f"{named(round(mean(speeds), digits))}\n")
Path("metrics.yaml").write_text(f"ships: {len(speeds)}\n")
