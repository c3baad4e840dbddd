"""Stores of ledgers that other packages bring: the entry-point group ``ccrs.stores``.

An entry point names what makes a store of a :class:`~ccrs_core.LedgerName`, such as a class whose
only argument that is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from ccrs_core.errors import PluginBroken, PluginNotInstalled
from ccrs_core.extensions import exchanges
from ccrs_core.extensions.loading import loading

STORES = "ccrs.stores"


def installed_stores() -> list[str]:
    """Names of the stores that installed packages offer. Imports none of them."""
    return sorted({entry.name for entry in exchanges._entries(STORES)})


def load_store(name: str) -> Callable[..., Any]:
    """What makes the store of a name.

    :raises PluginNotInstalled: where there is none; the message names those that there are.
    :raises PluginBroken: where it can't be imported or called, or two packages offer it.
    """
    offered = {
        str(exchanges._describe(each)): each
        for each in exchanges._entries(STORES)
        if each.name == name
    }
    if not offered:
        known = ["memory", "sqlite", *installed_stores()]
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise PluginNotInstalled(f"there is no store {name!r}: there are {', '.join(known)}{hint}")
    if len(offered) > 1:
        raise PluginBroken(
            f"the store {name!r} is offered by {' and by '.join(sorted(offered))}: uninstall all "
            "but one"
        )
    ((origin, entry),) = offered.items()
    with loading(f"the store {name!r} of {origin}", exchanges._describe(entry).distribution):
        try:
            made = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and CancelledError, too
            raise PluginBroken(
                f"the store {name!r} of {origin} can't be loaded: {type(error).__name__}: {error}"
            ) from error
    if not callable(made):
        raise PluginBroken(f"the store {name!r} of {origin} can't be called to make one")
    return made  # type: ignore[no-any-return]
