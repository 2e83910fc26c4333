"""Servers and media that stand in for the real ones, speaking the real protocols."""
