"""Fragmented MP4 over WebSocket, as H5Stream's players expect it."""
