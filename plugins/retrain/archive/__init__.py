"""Recorded days: listed, restored, verified, replayed, explained, pruned."""
