"""`python -m retrain.alerts.watch`."""

import sys

from retrain.alerts.watch.watch import main

sys.exit(main())
