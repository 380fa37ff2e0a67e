"""Whether training rows are fit to train on, one verdict a row."""
