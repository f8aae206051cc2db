"""The machine that breaks most often."""

import json
from pathlib import Path

counts = json.loads(Path("../model.json").read_text())
Path("page.txt").write_text(f"Next: {max(counts, key=counts.get)}\n")
