"""The longest crossing of the day."""

import json
from pathlib import Path

import iniconfig
from units import hours

unit = iniconfig.IniConfig("settings.ini")["report"]["unit"]
found = [hours(float(line)) for line in Path("crossings.csv").read_text().split()]
Path("longest.txt").write_text(f"{max(found)} {unit}\n")
Path("metrics.json").write_text(json.dumps({"hours": sum(found)}))
