"""The mean level of a station."""

import json
import sys
from pathlib import Path
from statistics import mean

source, to = map(Path, sys.argv[1:])
to.write_text(json.dumps(mean(float(line) for line in source.read_text().split())))
