"""What a segment becomes outside this library: clip files and segments.jsonl."""
