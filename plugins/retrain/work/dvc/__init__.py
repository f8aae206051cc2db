"""DVC in a workspace: the program, its failures, its description of a checkout."""
