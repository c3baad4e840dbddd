"""The emulated exchange's trading desk: accounts, their orders, and what money they have.

What all exchanges share, in no exchange's words: a dialect reads requests, asks the
:class:`~ccrs_core.emulator.trading.desk.Desk`, and writes what comes of it.
"""
