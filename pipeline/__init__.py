"""The trip duration pipeline: one module a DVC stage, each a pure function and a thin main."""
