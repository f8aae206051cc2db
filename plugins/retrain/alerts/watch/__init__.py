"""The watch: the process that sends the alerts, apart from Airflow."""
