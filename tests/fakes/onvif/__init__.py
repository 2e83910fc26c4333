"""The services of tests/fakes/onvif_camera.py, a module each."""
