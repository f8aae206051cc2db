"""The watch: the process that talks to people, and the dead-man's switch."""
