"""Today's rates, from their server."""

import urllib.request
from pathlib import Path

SERVER = "http://rates.example"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with direct.open(f"{SERVER}/latest.json", timeout=20) as answer:
    Path("rates.json").write_bytes(answer.read())
