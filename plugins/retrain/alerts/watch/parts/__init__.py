"""The periodic tasks of the watch, one module for each."""
