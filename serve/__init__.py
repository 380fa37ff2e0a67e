"""The REST service in front of the engine."""
