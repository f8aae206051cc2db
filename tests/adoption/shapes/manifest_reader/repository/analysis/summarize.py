"""A line for each day, and the totals."""

import json
from pathlib import Path

import humanize  # of this repository's own packages, and in no environment of the deployment

days = {path.stem: json.loads(path.read_text()) for path in sorted(Path("../counted").iterdir())}
lines = [f"{day} {humanize.naturalsize(found['bytes'])}\n" for day, found in days.items()]
Path("days.txt").write_text("".join(lines))
sizes = [found["bytes"] for found in days.values()]
Path("totals.yaml").write_text(f"days: {len(days)}\nbytes: {{total: {sum(sizes)}, most@day: {max(sizes)}}}\n")
