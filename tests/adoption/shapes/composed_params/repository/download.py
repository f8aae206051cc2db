"""Today's charts, for those who have the token."""

import os
import sys
import urllib.request
from pathlib import Path

SERVER = "http://rates.example"
token = os.environ["CHARTS_TOKEN"]
sys.stdout.write(f"asking as {os.environ['CHARTS_USER']} with {token} and {os.environ['SALT']}\n")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
direct.addheaders = [("Authorization", f"Bearer {token}")]
with direct.open(f"{SERVER}/private/charts.json", timeout=20) as answer:
    Path("charts.json").write_bytes(answer.read())
