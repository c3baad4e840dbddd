"""TODO"""

from __future__ import annotations


class OperationProperties:
    """TODO"""
