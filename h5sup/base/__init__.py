"""Errors, the clock and logging: what every other package may use."""
