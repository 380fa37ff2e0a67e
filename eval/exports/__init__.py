"""Files that others ask for: leaderboards and tables."""
