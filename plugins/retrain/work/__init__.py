"""A worker's machine: workspaces, Git, environments, processes, locks."""
