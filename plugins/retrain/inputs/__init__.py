"""The day's data in a checkout, before `dvc repro`: raw objects laid where the stages read them, and the params of the day."""
