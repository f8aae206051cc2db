"""`fresh_file.py FILE SECONDS`: exit 0 if the file was touched in the last SECONDS seconds."""

import sys
import time
from pathlib import Path

file, seconds = Path(sys.argv[1]), float(sys.argv[2])
try:
    age = time.time() - file.stat().st_mtime
except OSError as error:
    sys.exit(f"{file}: {error.strerror}")
if age > seconds:
    sys.exit(f"{file} was touched {age:.0f} s ago")
