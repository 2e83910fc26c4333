"""Where media changes hands: sources publish into channels, outputs take from them."""
