"""Command building, probing and supervision: the only package that starts processes."""
