"""What an author of an exchange implements: data and pure functions.

May import ``model`` and ``errors``. Nothing here waits or asks the time.
"""
