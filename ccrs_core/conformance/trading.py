"""TODO"""

from __future__ import annotations


class TradingProperties:
    """TODO"""
