"""config.json and ffmpeg_profiles/ as typed, checked, immutable objects."""
