"""Recordings played again: read, laid on a viewer's timeline, paced and steered."""
