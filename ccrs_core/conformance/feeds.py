"""TODO"""

from __future__ import annotations


class FeedProperties:
    """TODO"""
