"""What users hold: places subscriptions, asks questions, tells how it is.

May import everything above it: ``topics``, ``requests`` and what those may.
"""
