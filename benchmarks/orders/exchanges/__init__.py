"""The exchanges on which orders are measured: a module each, which says what differs there.

``EXCHANGE`` of each module. Its plugin, its emulator and ccxt are imported in the functions that
need them, since each process has use for one of them alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import ccrs_core
    from ccrs_core.emulator import Dialect

NAMES = ("bybit", "binance", "okx")


@attrs.frozen(kw_only=True)
class Exchange:
    """What differs from exchange to exchange."""

    title: str
    package: str
    """Of its plugin."""
    symbol: str
    category: str
    """The native name's, as the emulator lists it."""
    native: str
    contract: str = "1"
    """Base units in one of what ccxt counts sizes in."""
    passphrase: str = ""
    """Of the play account, where the exchange has one."""
    plugin: Callable[[], type[ccrs_core.Exchange]]
    dialect: Callable[[float], Dialect]
    """The emulator's dialect with so many times the documented limits of a user, and none of an
    address."""
    freed: Callable[[Any], object] = lambda dialect: None
    """Lifts what limits remain once the dialect is at a venue."""
    tells: bytes
    """What a push of fills has in it."""
    fills: Callable[[Any], Iterable[str]]
    """The ids of the fills that such a push tells, from its JSON."""
    ccxt: str
    """The class of ccxt.pro."""
    market_types: tuple[str, ...]
    """What its markets are loaded of."""
    hosts: Mapping[str, str] = {}
    """Where the emulator has a host of its own: host to path."""
    unreadable: Callable[[Any], bool] = lambda row: False
    """Rows of its instruments that the emulator tells on purpose and ccxt can't read; they are
    kept from it."""
    prepare: Callable[[Any], Any] | None = None
    """What ccxt learns of the account before its first order, awaited."""

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def load(name: str) -> Exchange:
    found: Exchange = importlib.import_module(f"benchmarks.orders.exchanges.{name}").EXCHANGE
    return found
