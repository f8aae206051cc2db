"""The customers of a file."""

import csv
from pathlib import Path


def read(path):
    """Calls, and whether the customer left, of each row."""
    with Path(path).open() as file:
        return [(float(row["calls"]), row["left"] == "1") for row in csv.DictReader(file)]
