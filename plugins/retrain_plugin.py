"""Adds the Release tab of a run to Airflow's UI."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from retrain.airflow.pages import app


class RetrainPlugin(AirflowPlugin):
    """The tab shows tag, commit, data, stages, proof, MLflow run and promotion."""

    name = "retrain"
    fastapi_apps: ClassVar[list[Any]] = [{"app": app, "url_prefix": "/retrain", "name": "retrain"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Release",
            # Without a slash at its beginning: the UI resolves it against its own address, which may be below a path.
            "href": "retrain/run?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "release",
        }
    ]
