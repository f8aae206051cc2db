"""How Airflow's components of the local stack are configured: by environment variables alone."""

from __future__ import annotations

import json

from program_variables import retrain_variables
from stack_model import LOOPBACK, REGION, Stack


def airflow_variables(stack: Stack) -> dict[str, str]:
    """The variables of every Airflow component: configuration, connections, and RETRAIN_*."""
    return _airflow_settings(stack) | _airflow_connections(stack) | retrain_variables(stack)


def _airflow_settings(stack: Stack) -> dict[str, str]:
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": stack.root / "dags",
            "plugins_folder": stack.root / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,  # the slots: LocalExecutor has as many workers, and further tasks wait as "scheduled"
            "fernet_key": stack.secrets.fernet_key,
            "execution_api_server_url": f"{stack.execution_url}/execution/",
            # Every user of this machine is an admin here. A deployment has another auth manager.
            "simple_auth_manager_all_admins": True,
            "test_connection": "Disabled",
            "hide_sensitive_var_conn_fields": True,
            "min_serialized_dag_update_interval": 5,
            # The first import, without byte code, can exceed the default of 30 s on a busy machine.
            "dagbag_import_timeout": 90,
        },
        # The api-server may be away for five minutes and no running task fails: this and the two limits below are longer.
        "scheduler": {"task_instance_heartbeat_timeout": 420},
        "execution_api": {"jwt_expiration_time": 3600},  # renewed when a fifth is left
        "database": {
            # SQLite has one writer at a time: wait up to 30 s for it. The default is to fail after 5 s.
            "sql_alchemy_conn": f"sqlite:///{stack.airflow_database}?timeout=30",
        },
        "logging": {"base_log_folder": stack.airflow_home / "logs", "uvicorn_logging_level": "WARNING"},
        "api": {
            "host": LOOPBACK,
            "port": stack.ports.airflow,
            "base_url": stack.airflow_url,
            "workers": 1,
            "secret_key": stack.secrets.api_secret_key,
            "expose_config": False,
        },
        "api_auth": {"jwt_secret": stack.secrets.jwt_secret},
        "workers": {
            "execution_api_timeout": 30,  # an api-server that has just started can exceed the default of 5 s
            "execution_api_retries": 91,  # after 1 to 10 s each
            "execution_api_retry_wait_max": 10,
        },
        "dag_processor": {
            "refresh_interval": 10,
            "min_file_process_interval": 10,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 120,
            "print_stats_interval": 0,
            "dag_bundle_storage_path": stack.airflow_home / "bundles",
        },
    }
    return {"AIRFLOW_HOME": str(stack.airflow_home)} | {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, options in sections.items()
        for name, value in options.items()
    }


def _airflow_connections(stack: Stack) -> dict[str, str]:
    connections: dict[str, dict[str, object]] = {
        "aws_default": {
            "conn_type": "aws",
            "login": stack.secrets.s3_access_key,
            "password": stack.secrets.s3_secret_key,
            "extra": {"endpoint_url": stack.s3_url, "region_name": REGION},
        },
        "mlflow_default": {
            "conn_type": "http",
            "schema": "http",
            "host": LOOPBACK,
            "port": stack.ports.mlflow,
        },
    }
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection, separators=(",", ":"))
        for name, connection in connections.items()
    }
