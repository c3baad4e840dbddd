"""Entry points: exchanges and listeners that other packages bring.

May import ``contract`` and what is open to all. Nothing here waits.
"""
