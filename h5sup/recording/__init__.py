"""What is kept of sources: recordings, snapshots and archives, and how they come back."""
