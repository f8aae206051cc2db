"""The taxi team's code."""
