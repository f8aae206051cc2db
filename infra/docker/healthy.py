#!/usr/bin/env python3
"""`healthy URL [COMPONENT]`: exit 0 if the URL answers 200 and Airflow's health report at it calls the component healthy."""

import json
import sys
import urllib.request

url, *component = sys.argv[1:]
with urllib.request.urlopen(url, timeout=8) as answer:  # noqa: S310 - the compose file gives the address
    report = answer.read()
for name in component:
    status = json.loads(report)[name]["status"]
    if status != "healthy":
        sys.exit(f"{name}: {status}")
