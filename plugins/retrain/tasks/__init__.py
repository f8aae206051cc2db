"""One module for each task of the DAG; each has a function of the task's name."""
