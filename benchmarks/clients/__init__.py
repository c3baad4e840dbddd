"""What is compared: each module drives one client and imports it only when it runs."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import attrs


@attrs.frozen
class Contender:
    """A client: its module here, what it is, and the packages it needs."""

    module: str
    title: str
    packages: tuple[str, ...]
    speed: int
    """Roughly its events per CPU second, to size the runs alike; no result depends on it."""
    holds: bool = False
    """Takes part in the runs with many connections."""

    def missing(self) -> list[str]:
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def load(self) -> Any:
        return importlib.import_module(f"benchmarks.clients.{self.module}")


CONTENDERS = {
    "aiohttp": Contender("ours", "ccrs (aiohttp)", ("ccrs_core", "ccrs_bybit"), 200_000, True),
    "ccxt": Contender("ccxt_pro", "ccxt.pro", ("ccxt",), 40_000),
    "cryptofeed": Contender("cryptofeed_feed", "cryptofeed", ("cryptofeed",), 100_000),
    "bare": Contender("bare", "bare aiohttp + orjson", ("aiohttp", "orjson"), 400_000, True),
    "bare_attrs": Contender(
        "bare_attrs", "bare aiohttp + orjson + attrs", ("aiohttp", "orjson", "attrs"), 200_000
    ),
    "bare_picows": Contender("bare_picows", "bare picows + orjson", ("picows", "orjson"), 400_000),
}
"""By the name in results. ``aiohttp`` is this library with its aiohttp transport."""
