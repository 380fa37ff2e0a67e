"""Opening a video: probe, segment, read once, sample, write clip files."""
