"""Expressions of a face, asked about: one profile of a short clip, the events of a long video.

Does: show clips to an engine and gather what it says.  Does not: know HTTP or leaderboard files.
Prediction, training rows and the service all come through here.
"""
