"""The checks of `python -m retrain doctor`, one module per thing checked. The modules that decide ask nothing themselves."""
