"""Values: instruments, subscriptions, events, books.

May import ``errors`` alone. Nothing here waits, asks the time or knows an exchange.
"""
