"""A real day run on trial, in folders of its own: nothing is recorded, pushed or reported."""
