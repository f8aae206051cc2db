"""The city's power."""
