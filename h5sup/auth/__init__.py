"""Users, password hashes, sessions and roles: who may do what."""
