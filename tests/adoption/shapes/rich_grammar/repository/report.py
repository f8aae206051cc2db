"""The numbers of all places."""

import json
import sys
from pathlib import Path

folder, to = map(Path, sys.argv[1:])
found = {}
for path in sorted(folder.glob("*.txt")):
    place, _, kind = path.stem.partition("-")
    found.setdefault(place, {})[kind] = float(path.read_text())
to.parent.mkdir(exist_ok=True)
to.write_text(json.dumps(found))
