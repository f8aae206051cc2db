"""MLflow: the server, the runs that it mirrors, its rebuild from the ledger."""
