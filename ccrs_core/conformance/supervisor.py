"""TODO"""

from __future__ import annotations


class SupervisorProperties:
    """TODO"""
