"""What takes media from a channel and serves it to viewers."""
