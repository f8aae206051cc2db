"""The trip duration pipeline: one module per DVC stage, each with a pure function and a thin main."""
