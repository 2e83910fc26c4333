"""A stretch of recordings made into one MP4."""
