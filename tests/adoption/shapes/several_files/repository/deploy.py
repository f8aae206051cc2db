"""Hand the model over to the plant's server."""

import urllib.request
from pathlib import Path

SERVER = "http://rates.example"
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with direct.open(f"{SERVER}/deploy", timeout=20) as answer:
    Path("deployed.txt").write_bytes(answer.read())
