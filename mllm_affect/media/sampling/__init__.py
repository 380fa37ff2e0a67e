"""Which frames of a segment the model sees, by which policy, and at which size."""
