"""Working on analyses: take one, answer its segments through the pipeline, store, go on."""
