"""Events as tables: for Arrow, pandas and polars, and written to files as they come.

Imports values alone, and the libraries on use: they are extras.
"""
