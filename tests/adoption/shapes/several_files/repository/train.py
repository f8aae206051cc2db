"""How often each machine broke."""

import json
from collections import Counter
from pathlib import Path

Path("model.json").write_text(json.dumps(Counter(Path("prepared/faults.txt").read_text().split()), sort_keys=True))
