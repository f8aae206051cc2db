"""A pipeline's file: its sections, loading, validation."""
