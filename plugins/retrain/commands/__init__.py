"""The commands of `python -m retrain`, one module per command."""
