"""What lies in mediastore, over HTTP: the files themselves, and HLS playlists over them."""
