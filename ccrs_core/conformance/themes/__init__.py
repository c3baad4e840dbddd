"""The suite's tests, one theme a module.

May import the workbench, the judges and each other.
"""
