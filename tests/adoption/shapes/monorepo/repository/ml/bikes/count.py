"""The other team's stage, which a run of ml/taxi must not start."""

raise SystemExit("this is not the taxi team's pipeline")
