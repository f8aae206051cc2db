"""Judgement of a day: drift, performance, promotion."""
