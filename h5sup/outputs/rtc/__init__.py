"""WebRTC: packets of the bus to browsers, encrypted for each and otherwise untouched."""
