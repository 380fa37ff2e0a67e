"""Going on with a training that was killed, to the bit."""
