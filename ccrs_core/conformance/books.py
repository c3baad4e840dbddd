"""TODO"""

from __future__ import annotations


class BookProperties:
    """TODO"""
