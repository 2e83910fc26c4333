"""What h5sup costs: run by `make bench`, never as a test."""
