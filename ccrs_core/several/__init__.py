"""Many exchanges as one: clients, feed, market data and accounts merged, best prices, lead and lag.

May import ``client`` and what that may. Only ``clients`` and ``merge`` wait.
"""
