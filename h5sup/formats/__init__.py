"""Parsers and writers of media formats: bytes in, objects out, no I/O."""
