"""Airflow, for tests that load DAGs: a home of its own, no examples, no database."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Set before anything imports Airflow, which reads its configuration on import.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(Path(__file__).resolve().parents[1] / "plugins")
