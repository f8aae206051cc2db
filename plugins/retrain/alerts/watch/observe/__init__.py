"""The observer: questions about each pipeline, a module each, that no task can answer."""
