"""The limit between those who left and those who stayed, halfway between their means."""

import json
from pathlib import Path
from statistics import mean

import customers
import humanize

rows = customers.read("data/raw.csv")
left, stayed = (mean(calls for calls, gone in rows if gone is which) for which in (True, False))
model = {"leaves_below": (left + stayed) / 2, "customers": humanize.apnumber(len(rows))}
Path("models/model.json").write_text(json.dumps(model))
