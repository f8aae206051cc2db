"""Real NYC yellow-cab trips: fetched from a package, cut into days, landed in S3."""

from trips.cutting import TripsError, cut, days, fetch, inputs, land, part_path, raw_dir

__all__ = ["TripsError", "cut", "days", "fetch", "inputs", "land", "part_path", "raw_dir"]
