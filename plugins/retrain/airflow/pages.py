"""The page behind a run's Release tab.

The page itself has no data. It asks Airflow's REST API for the states and results of the run's tasks with the reader's own
session, so it shows nobody more than Airflow does.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI(title="retrain", docs_url=None, redoc_url=None, openapi_url=None)
_RUN_PAGE = Path(__file__).with_name("run_page.html")


@app.get("/run")
def run_page() -> HTMLResponse:
    """The page: release, data and results of a run. The browser fills it."""
    return HTMLResponse(_RUN_PAGE.read_text(encoding="utf-8"))
