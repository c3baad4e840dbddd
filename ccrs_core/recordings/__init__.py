"""Frames on disk, and played back through connections and topics.

May import ``topics`` and what that may. Nothing here waits or asks the time: it is given both.
"""
