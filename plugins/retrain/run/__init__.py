"""A run: its partition, spec, manifest, release and record."""
