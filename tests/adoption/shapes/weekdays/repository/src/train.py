"""Tomorrow closes at the mean of the days before."""

import json
from pathlib import Path
from statistics import mean

from exchange.reading import closes

found = closes("prices")
Path("model.json").write_text(json.dumps({"close": mean(found.values())}))
Path("metrics.json").write_text(json.dumps({"index": {"days": len(found), "last": list(found.values())[-1]}}))
