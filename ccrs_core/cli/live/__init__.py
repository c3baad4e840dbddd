"""What is looked at while it runs: tables, figures, lines of text.

May import all of the core, of the command line this room and what stands beside it.
"""
