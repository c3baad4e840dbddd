"""One measurement of orders or fills by one client, as told to its process."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any, Literal

import attrs

from benchmarks.orders.exchanges import NAMES, Exchange, load

Kind = Literal["single", "flight", "fills", "fills_busy"]
"""Orders one at a time or many in flight; fills that come now and then, or as fast as they are
made."""
SIZE = "0.001"
"""Of each order that is placed, and of each fill, base units."""
KEY = "emulator"
"""Both the play account's key and its secret."""
FILLS = "fills"
"""What the client id of the order begins with that the venue fills bit by bit: ``fillsCxR``, C
fills, R a second. OKX's ids are letters and digits alone."""


@attrs.frozen(kw_only=True)
class Contender:
    """A client, and the way in which it is used."""

    module: str
    title: str
    packages: tuple[str, ...]
    way: Literal["websocket", "rest"] = "websocket"
    speed: float
    """Roughly its pairs of orders per CPU second, to size the runs alike."""
    orders: bool = True
    """Takes part in what measures orders."""
    fills: bool = False
    """Takes part in what measures fills."""
    flight: bool = True
    """Can have many orders in flight."""
    streams: bool = False
    """A peer that follows all streams of the account meanwhile, as this library always does."""
    store: Literal["memory", "normal", "full", ""] = ""
    """Of this library: its ledger's store, or what SQLite is to survive."""
    transport: str = "aiohttp"
    exchanges: tuple[str, ...] = NAMES
    """Where it trades."""

    @property
    def missing(self) -> list[str]:
        """Packages that it lacks."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def load(self) -> Any:
        return importlib.import_module(f"benchmarks.orders.{self.module}")


def _ours(title: str, speed: float, **more: Any) -> Contender:
    packages = ("ccrs_picows", "picows") if "transport" in more else ()
    return Contender(module="ours", title=f"ccrs, {title}", packages=packages, speed=speed, **more)


CONTENDERS: dict[str, Contender] = {
    "memory": _ours("WebSocket, memory", 1000, store="memory", fills=True),
    "picows": _ours("WebSocket, memory (picows)", 1000, store="memory", transport="picows"),
    "normal": _ours("WebSocket, SQLite normal", 600, store="normal", fills=True),
    "full": _ours("WebSocket, SQLite full", 400, store="full", fills=True),
    "rest_memory": _ours("REST, memory", 500, store="memory", way="rest"),
    "rest_normal": _ours("REST, SQLite normal", 400, store="normal", way="rest"),
    "ccxt": Contender(
        module="ccxt_pro",
        title="ccxt.pro, WebSocket",
        packages=("ccxt",),
        speed=1500,
        fills=True,
    ),
    "ccxt_streams": Contender(
        module="ccxt_pro",
        title="ccxt.pro, WebSocket, with all its streams",
        packages=("ccxt",),
        speed=500,
        fills=True,
        streams=True,
    ),
    "ccxt_rest": Contender(
        module="ccxt_pro", title="ccxt.pro, REST", packages=("ccxt",), way="rest", speed=500
    ),
    "pybit": Contender(
        module="pybit_client",
        title="pybit, WebSocket",
        packages=("pybit",),
        exchanges=("bybit",),
        speed=2000,
        fills=True,
    ),
    "pybit_rest": Contender(
        module="pybit_client",
        title="pybit, REST",
        packages=("pybit",),
        exchanges=("bybit",),
        way="rest",
        speed=400,
        flight=False,
    ),
    "python_binance": Contender(
        module="binance_client",
        title="python-binance, WebSocket",
        packages=("binance",),
        exchanges=("binance",),
        speed=1500,
    ),
    "python_binance_rest": Contender(
        module="binance_client",
        title="python-binance, REST",
        packages=("binance",),
        exchanges=("binance",),
        way="rest",
        speed=500,
    ),
}
"""By the name in results. ``memory``, ``normal`` and ``full`` are this library over WebSocket with
these stores."""
OURS = tuple(name for name, each in CONTENDERS.items() if each.store)
PEERS = tuple(name for name, each in CONTENDERS.items() if not each.store)


@attrs.frozen(kw_only=True)
class Job:
    """``count`` pairs of placing and canceling are measured, ``flights`` at a time; or fills,
    ``rate`` a second (0.0: as fast as they are made)."""

    kind: Kind
    client: str
    count: int
    exchange: str = "bybit"
    flights: int = 1
    rate: float = 0.0
    port: int = 0
    ledger: str = ""
    """The file of an SQLite ledger."""

    @property
    def at(self) -> Exchange:
        """What the exchange is like."""
        return load(self.exchange)

    @property
    def contender(self) -> Contender:
        return CONTENDERS[self.client]

    @property
    def warm_up(self) -> int:
        """Pairs or fills before the measured ones: as many in each flight."""
        return max(1, self.count // 10 // self.flights, 10 // self.flights) * self.flights

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def fills_id(self) -> str:
        """The client id of the order to be filled bit by bit."""
        return f"{FILLS}{self.warm_up + self.count}x{round(self.rate)}"


def absent(exchanges: Iterable[str], clients: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Who can't take part, by exchange and client, and the packages that are missing."""
    found: dict[tuple[str, str], list[str]] = {}
    clients = list(clients)
    for name in exchanges:
        at = load(name)
        plugin = [] if at.installed else [at.package]
        for client in clients:
            contender = CONTENDERS[client]
            missing = [*plugin, *contender.missing]
            if name in contender.exchanges and missing:
                found[name, client] = missing
    return found
