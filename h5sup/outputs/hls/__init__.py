"""HLS: MPEG-TS from the RAM folder (v1) and fragmented MP4 from memory (v2)."""
