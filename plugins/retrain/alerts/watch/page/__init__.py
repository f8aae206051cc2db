"""The page of the watch, served by the watch itself."""
