"""The H5Stream REST calls: one module per chapter of the manual."""
