"""Housekeeping: what grows on the shared volume and in Airflow's database stays within limits."""
