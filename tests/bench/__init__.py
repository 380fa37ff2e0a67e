"""`make bench`: our reading of a video beside named peers, in one run."""
