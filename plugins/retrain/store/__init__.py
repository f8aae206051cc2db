"""S3: requests, the DVC remote, the proof of a push, the ledger with its events."""
