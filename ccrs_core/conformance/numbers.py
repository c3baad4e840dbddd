"""TODO"""

from __future__ import annotations


class NumberProperties:
    """TODO"""
