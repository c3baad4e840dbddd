"""What is made of market data: bars of trades, snapshots of books, figures of books. Pure.

Imports values alone.
"""
