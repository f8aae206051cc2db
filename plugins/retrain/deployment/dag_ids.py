"""Ids of DAGs that are not named after their pipeline alone."""

from __future__ import annotations

HOUSEKEEPING = "retrain_housekeeping"
LANDINGS = "_landings"  # ends the name of the DAG that reads a pipeline's messages
