"""Session descriptions: what two sides offer each other (RFC 8866), and ICE candidates."""
