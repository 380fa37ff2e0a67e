"""Opening a video: probe, segment, read once, sample; apart, cached, or as files where needed."""
