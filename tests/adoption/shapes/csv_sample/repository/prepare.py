"""Join all CSV files below a folder."""

import sys
from pathlib import Path

source, to = map(Path, sys.argv[1:])
files = [path.read_text().splitlines() for path in sorted(source.rglob("*.csv"))]
rows = [row for lines in files for row in lines[1:]]
to.write_text("\n".join([files[0][0], *rows]) + "\n")
