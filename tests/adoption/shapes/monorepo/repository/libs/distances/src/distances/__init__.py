"""Distances, for all teams."""

KM_PER_MILE = 1.609344


def kilometres(miles):
    """Kilometres of a distance in miles."""
    return miles * KM_PER_MILE
