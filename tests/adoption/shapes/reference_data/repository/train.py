"""The bicycles of each station, and the day's numbers."""

import csv
import json
from pathlib import Path

import iniconfig


def rows(path):
    """The rows of a file."""
    with Path(path).open() as file:
        return list(csv.DictReader(file))


places = json.loads(Path("data/places.json").read_text())
regions = {row["id"]: row["region"] for row in rows("data/regions.csv")}
names = {row["id"]: row["name"] for path in sorted(Path("data/stations").glob("*.csv")) for row in rows(path)}
price = float(rows("data/prices.csv")[0]["price"])
hired = {row["station"]: int(row["bicycles"]) for row in rows("data/hired.csv")}
column = iniconfig.IniConfig("settings.ini")["weather"]["column"]
holidays = Path("data/holidays.csv").read_text().split()
degrees = [int(row[column]) for row in rows("data/weather.csv") if row["day"] not in holidays]
Path("model.json").write_text(
    json.dumps({names[each]: [places[each], regions[each], number] for each, number in hired.items()})
)
total = sum(hired.values())
Path("metrics.json").write_text(json.dumps({"hired": total, "income": total * price, "degrees": max(degrees)}))
