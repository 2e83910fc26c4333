"""What the API configures, kept on disk."""
