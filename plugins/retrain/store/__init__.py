"""S3: the client, the DVC remote, the proof of a push, the ledger."""
