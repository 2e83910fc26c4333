"""Recorders over RTSP: one connection that many ffmpegs read, one after the other."""
