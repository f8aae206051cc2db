#!/usr/bin/env python3
"""`healthy URL [COMPONENT]`: exit 0 when the URL answers 200 and, of Airflow's health report, the component is healthy."""

import json
import sys
import urllib.request

url, *component = sys.argv[1:]
with urllib.request.urlopen(url, timeout=8) as answer:  # noqa: S310 - the address is the compose file's own
    report = answer.read()
for name in component:
    status = json.loads(report)[name]["status"]
    if status != "healthy":
        sys.exit(f"{name}: {status}")
