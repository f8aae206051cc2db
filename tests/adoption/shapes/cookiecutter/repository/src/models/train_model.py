"""Count who came back within the limit."""

import datetime as dt
import json
from importlib.metadata import version
from pathlib import Path

import humanize
import iniconfig

from src.data.visits import days

limit = int(iniconfig.IniConfig("settings.ini")["visit"]["limit"])
found = days("data/raw")
returning = sum(each <= limit for each in found)
text = humanize.naturaldelta(dt.timedelta(days=limit + 1))
Path("models").mkdir(exist_ok=True)
Path("models/model.json").write_text(
    json.dumps({"limit": text, "returning": returning, "humanize": version("humanize")})
)
Path("models/metrics.json").write_text(json.dumps({"returned": round(returning / len(found), 4)}))
