"""Metrics, reports and leaderboard exports.  Write `from eval.metrics import …`."""
