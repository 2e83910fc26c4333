"""h5sup: a camera-to-browser gateway that speaks the H5Stream API."""

__version__ = "0.1.0"
