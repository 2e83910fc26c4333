"""Which sources exist; each starts on demand, is supervised and publishes into channels."""
