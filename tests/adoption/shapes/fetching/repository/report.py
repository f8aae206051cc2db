"""The rate, and how far it is from one."""

import json
from pathlib import Path

rate = json.loads(Path("rates.json").read_text())["EUR"]
Path("report.json").write_text(json.dumps({"rate": rate, "changed": rate - 1}))
