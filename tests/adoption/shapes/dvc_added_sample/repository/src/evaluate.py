"""Metrics with a section."""

import json
from pathlib import Path

import customers

limit = json.loads(Path("models/model.json").read_text())["leaves_below"]
rows = customers.read("data/raw.csv")
right = [(calls < limit) is gone for calls, gone in rows]
Path("reports").mkdir(exist_ok=True)
Path("reports/metrics.json").write_text(
    json.dumps({"test": {"customers": len(rows), "accuracy": sum(right) / len(right)}})
)
