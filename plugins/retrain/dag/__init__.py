"""The parts of a pipeline's DAGs that are the same for every pipeline."""
