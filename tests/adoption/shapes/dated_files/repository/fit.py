"""The mean temperature, under the day of the window's end."""

import json
import tomllib
from pathlib import Path

params = tomllib.loads(Path("params.toml").read_text())
last = params["window"]["last"]
files = {path.name: [float(line) for line in path.read_text().split()] for path in Path("readings").iterdir()}
values = [value for _, found in sorted(files.items()) for value in found]
mean = round(sum(values) / len(values), params["fit"]["digits"])
of_last_day = [value for name, found in files.items() if last.replace("-", "") in name for value in found]
Path("building.json").write_text(json.dumps({last: mean}))
Path("metrics.json").write_text(json.dumps({"mean": mean, "of_last_day": len(of_last_day)}))
