"""Reading a file's packets: open, hold to the limits, know the timeline, decode what is needed."""
