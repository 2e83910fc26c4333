"""Configurations of other products to config.json, with a report of what became of each entry."""
