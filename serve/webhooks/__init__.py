"""Completion webhooks: telling a receiver that an analysis has ended."""
