"""Faces of a video: find, follow, cut out, measure."""
