"""Real NYC yellow-cab trips: fetched from a package, cut into days, landed in S3.

python infra/local/trips fetch
python infra/local/trips cut [--source FILE ...]
python infra/local/trips land --from 2019-03-10 --to 2020-03-18
python infra/local/trips inputs --partition 2020-03-05
"""

from trips.cutting import Cut, cut
from trips.errors import TripsError
from trips.fetching import fetch
from trips.landing import Landed, land
from trips.partitions import days, part_path, raw_dir
from trips.run_inputs import inputs

__all__ = ["Cut", "Landed", "TripsError", "cut", "days", "fetch", "inputs", "land", "part_path", "raw_dir"]
