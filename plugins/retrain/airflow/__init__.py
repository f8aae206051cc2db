"""Airflow: connections, variables, its REST API, pages in its UI."""
