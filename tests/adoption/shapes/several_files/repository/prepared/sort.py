"""The faults of the log, one a line."""

from pathlib import Path

Path("faults.txt").write_text("".join(f"{each}\n" for each in sorted(Path("../data/log.txt").read_text().split())))
