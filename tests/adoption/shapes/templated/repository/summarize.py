"""The highest station of a day."""

import json
import sys
from pathlib import Path

day, model, metrics = sys.argv[1:]
levels = {path.stem: json.loads(path.read_text()) for path in sorted(Path("work").glob("*.json"))}
Path(model).parent.mkdir(exist_ok=True)
Path(model).write_text(json.dumps({"day": day, "highest": max(levels, key=levels.get)}))
Path(metrics).write_text(json.dumps({"levels": levels}))
