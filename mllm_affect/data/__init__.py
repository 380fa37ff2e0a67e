"""Labelled videos: what an example is, and made (procedurally generated) clips."""
