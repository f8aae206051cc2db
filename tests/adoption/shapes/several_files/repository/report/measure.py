"""Numbers of the model."""

import json
from pathlib import Path

counts = json.loads(Path("../model.json").read_text())
Path("metrics.json").write_text(json.dumps({"machines": len(counts), "faults": sum(counts.values())}))
