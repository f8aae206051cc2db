"""Tomorrow is like the mean of the days before, rounded down."""

from pathlib import Path

days = [tuple(map(int, path.read_text().split())) for path in sorted(Path("days").iterdir())]
Path("forecast").mkdir()
Path("forecast/next.txt").write_text(str(sum(visits for visits, _ in days) // len(days)))
Path("metrics.yaml").write_text(f"days: {len(days)}\nfiles: {sum(files for _, files in days)}\n")
