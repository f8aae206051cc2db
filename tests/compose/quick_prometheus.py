"""The deployment's configuration of Prometheus without its waiting times, for a test that cannot wait for minutes."""

from __future__ import annotations

from pathlib import Path

import yaml
from running_stack import ROOT

_FOLDER = ROOT / "infra" / "monitoring" / "prometheus"


def quick_prometheus(folder: Path) -> Path:
    """A folder like infra/monitoring/prometheus: each target is asked every five seconds, and an alert fires five seconds later."""
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((_FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"}
    rules = yaml.safe_load((_FOLDER / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "5s"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    return folder
