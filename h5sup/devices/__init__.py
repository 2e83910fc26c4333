"""Hardware that is asked over its own protocol: found, resolved to URLs, steered, searched."""
