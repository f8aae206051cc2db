"""The exchange's closing prices."""
