"""What stands around the loading of a plugin: nothing, unless a program puts something there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Watch = Callable[[str, str], AbstractContextManager[object]]


def _nothing(what: str, distribution: str) -> AbstractContextManager[None]:
    return nullcontext()


watch: Watch = _nothing
"""Stands around whatever runs a plugin's code while it is loaded.

The command line sets it, to bound that time: in a user's program nothing can be ended.
"""


def loading(what: str, distribution: str) -> AbstractContextManager[object]:
    """Around the loading of ``what``, which comes from an installed package."""
    return watch(what, distribution)
