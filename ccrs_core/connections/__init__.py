"""One socket's life, N of them on a route, each replaced in time.

May import ``transport`` and what that may; knows topics by name and by a protocol, never
by class. Only ``link`` and ``shard`` wait.
"""
