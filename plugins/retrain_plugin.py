"""Registers with Airflow what this project adds to its UI: the Release tab of a run."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from retrain.airflow.pages import app


class RetrainPlugin(AirflowPlugin):
    """A run's tab "Release": tag, commit, data, stages, proof, MLflow run, promotion."""

    name = "retrain"
    fastapi_apps: ClassVar[list[Any]] = [{"app": app, "url_prefix": "/retrain", "name": "retrain"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Release",
            "href": "/retrain/run?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "release",
        }
    ]
