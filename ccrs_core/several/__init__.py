"""Many exchanges as one: clients, feed, best prices, lead and lag.

May import ``client`` and what that may. Only ``clients`` waits.
"""
