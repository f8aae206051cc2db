"""Environments: resolved, frozen, installed, found again by identity."""
