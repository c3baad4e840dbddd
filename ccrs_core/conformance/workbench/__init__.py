"""What the suite's tests work with: the exchange under test, lines, worlds, samples, facts, truth.

May import all of the core; of the suite this room alone.
"""
