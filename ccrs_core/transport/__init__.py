"""The network seam. Only this package and the supervisor wait, do I/O or ask the time."""
