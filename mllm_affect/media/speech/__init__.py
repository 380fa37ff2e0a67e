"""Who spoke when, and what was said: speech spans, transcripts, an adapter to a recogniser."""
