"""The visits of each day: every file of it, whatever Spark named it."""

from pathlib import Path

days = {}
for path in sorted(Path("visits").iterdir()):
    days.setdefault(path.name[:10], []).append(sum(map(int, path.read_text().split())))
Path("days").mkdir()
for day, sums in days.items():
    Path("days", f"{day}.txt").write_text(f"{sum(sums)} {len(sums)}")
