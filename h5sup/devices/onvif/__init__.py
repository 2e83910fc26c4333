"""Cameras that speak ONVIF: found, asked for their profiles, steered, listened to."""
