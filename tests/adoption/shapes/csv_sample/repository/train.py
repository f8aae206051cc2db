"""The mean amount of each product."""

import csv
import json
from pathlib import Path
from statistics import mean

import iniconfig

columns = iniconfig.IniConfig("settings.ini")["columns"]
amounts = {}
with Path("data/orders.csv").open() as file:
    for row in csv.DictReader(file):
        amounts.setdefault(row[columns["name"]], []).append(float(row[columns["value"]]))
means = {product: mean(found) for product, found in sorted(amounts.items())}
Path("model.json").write_text(json.dumps(means))
