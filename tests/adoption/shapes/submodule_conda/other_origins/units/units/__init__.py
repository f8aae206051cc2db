"""Units, for several teams."""


def hours(minutes):
    """Hours of minutes."""
    return minutes / 60
