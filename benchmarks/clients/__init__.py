"""What is compared: each module drives one client and imports it only when it runs."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import attrs

from benchmarks.exchanges import NAMES


@attrs.frozen(kw_only=True)
class Contender:
    """A client: its module here, what it is, and the packages it needs for any exchange."""

    module: str = attrs.field(kw_only=False)
    title: str = attrs.field(kw_only=False)
    packages: tuple[str, ...] = attrs.field(kw_only=False)
    speed: int = attrs.field(kw_only=False)
    """Roughly its events per CPU second, to size the runs alike; no result depends on it."""
    transport: str | None = None
    """This library's transport, by its name; None for everybody else."""
    holds: bool = False
    """Takes part in the runs with many connections."""
    reads: bool = False
    """Takes part in the runs whose consumer reads every field."""
    merges: bool = False
    """Hands over fewer updates than it takes in while it is busy."""
    books: bool = True
    """Keeps a book, where the case is one."""
    any_loop: bool = False
    """Runs on the event loop that is asked for."""

    def missing(self, exchange: str = NAMES[0]) -> list[str]:
        """Packages that it lacks for an exchange."""
        plugins = () if self.transport is None else (f"ccrs_{exchange}",)
        needed = (*self.packages, *plugins)
        return [name for name in needed if importlib.util.find_spec(name) is None]

    def load(self) -> Any:
        return importlib.import_module(f"benchmarks.clients.{self.module}")


CONTENDERS = {
    "aiohttp": Contender(
        "ours",
        "ccrs (aiohttp)",
        ("ccrs_core", "aiohttp"),
        200_000,
        transport="aiohttp",
        holds=True,
        reads=True,
        any_loop=True,
    ),
    "picows": Contender(
        "ours",
        "ccrs (picows)",
        ("ccrs_core", "ccrs_picows", "picows"),
        300_000,
        transport="picows",
        holds=True,
        reads=True,
        any_loop=True,
    ),
    "ccxt": Contender("ccxt_pro", "ccxt.pro", ("ccxt",), 40_000, merges=True),
    "cryptofeed": Contender("cryptofeed_feed", "cryptofeed", ("cryptofeed",), 100_000),
    "bare": Contender(
        "bare",
        "bare aiohttp + orjson",
        ("aiohttp", "orjson"),
        400_000,
        books=False,
        holds=True,
        any_loop=True,
    ),
    "bare_attrs": Contender(
        "bare_attrs",
        "bare aiohttp + orjson + attrs",
        ("aiohttp", "orjson", "attrs"),
        250_000,
        books=False,
        reads=True,
        any_loop=True,
    ),
    "bare_picows": Contender(
        "bare_picows",
        "bare picows + orjson",
        ("picows", "orjson"),
        600_000,
        books=False,
        any_loop=True,
    ),
    "bare_picows_attrs": Contender(
        "bare_picows_attrs",
        "bare picows + orjson + attrs",
        ("picows", "orjson", "attrs"),
        350_000,
        books=False,
        reads=True,
        any_loop=True,
    ),
}
"""By the name in results. ``aiohttp`` and ``picows`` are this library with that transport."""

OURS = tuple(name for name, contender in CONTENDERS.items() if contender.transport is not None)

BARE = {"aiohttp": "bare_attrs", "picows": "bare_picows_attrs"}
"""By client of ours: the hand-written loop on the same transport that builds equal values."""
BARE_ORJSON = {"aiohttp": "bare", "picows": "bare_picows"}
"""By client of ours: the hand-written loop on the same transport that builds nothing."""
