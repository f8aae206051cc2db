"""MLflow: the server, what it holds of a run, rebuilding it from the ledger."""
