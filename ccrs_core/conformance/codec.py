"""TODO"""

from __future__ import annotations


class CodecProperties:
    """TODO"""
