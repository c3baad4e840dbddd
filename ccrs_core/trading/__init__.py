"""Orders and fills, each once: entry, ledger, store, reconciliation.

May import ``connections``, ``feeds``, ``requests`` and what those may. The ledger, the states of
orders and the positions are values and pure functions: no waiting, no clock.
"""
