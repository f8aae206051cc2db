"""The unit of a speed."""

import os


def named(speed):
    """A speed with the team's unit."""
    return f"{speed:g} {os.environ['SHIPS_UNIT']}"
