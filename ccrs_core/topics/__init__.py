"""From connections to feeds: copies merged, books kept, notices given.

May import ``connections``, ``feeds`` and what those may. Only ``snapshots`` and ``lookout`` wait.
"""
