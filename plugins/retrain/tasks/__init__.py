"""The DAG's tasks, one module each."""
