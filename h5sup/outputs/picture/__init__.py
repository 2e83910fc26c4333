"""The last key frame of a source as a JPEG."""
