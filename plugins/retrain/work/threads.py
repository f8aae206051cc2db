"""The number of threads that the numerical libraries of a stage may use."""

from __future__ import annotations

import os

from retrain.errors import ConfigurationError

_DEFAULT = "2"


def threads() -> int:
    """OMP_NUM_THREADS of the worker's environment, 2 if it is unset. It is recorded, because sums may depend on it.

    Raises:
        ConfigurationError: the variable is not a whole number above 0.
    """
    said = os.environ.get("OMP_NUM_THREADS") or _DEFAULT
    if not said.isdecimal() or int(said) < 1:
        raise ConfigurationError(
            f"OMP_NUM_THREADS={said!r} of the worker is not a whole number above 0. Correct the worker's environment, then clear the task."
        )
    return int(said)
