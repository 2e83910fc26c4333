"""Figures for Prometheus, read from those who have them at the moment they are asked for."""
