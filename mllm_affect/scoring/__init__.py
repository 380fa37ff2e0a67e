"""From segment answers to one video answer."""
