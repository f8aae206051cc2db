"""A DVC pipeline in production: what the DAG's tasks do, free of Airflow wherever it decides something."""
