"""The command line of the trips: `python infra/local/trips fetch | cut | land | inputs`."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Python runs a folder with the folder itself on the path; the package is found from the folder above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from trips.cutting import main

if __name__ == "__main__":
    sys.exit(main())
