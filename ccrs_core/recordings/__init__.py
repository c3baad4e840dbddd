"""Frames on disk, and played back through connections and topics.

May import ``client`` and what that may. Only ``recorder`` waits; nothing here asks the time.
"""
