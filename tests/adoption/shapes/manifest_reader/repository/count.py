"""The objects and bytes of each day that the manifest names."""

import json
from pathlib import Path

days = {}
for entry in json.loads(Path("manifest.json").read_text())["objects"]:
    days.setdefault(entry["key"].split("/")[0].removeprefix("dt="), []).append(entry["size"])
Path("counted").mkdir()
for day, sizes in days.items():
    Path("counted", f"{day}.json").write_text(json.dumps({"objects": len(sizes), "bytes": sum(sizes)}))
