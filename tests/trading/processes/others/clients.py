"""Which clients there are of which exchange."""

from __future__ import annotations

import importlib.util

from tests.trading.processes.others.other import Other

_PACKAGES = {"python-okx": "okx", "python-binance": "binance", "ccxt": "ccxt"}
_OF = {
    "bybit": ("by-hand", "ccxt"),
    "okx": ("python-okx", "ccxt"),
    "binance": ("python-binance", "ccxt"),
}


def installed(exchange: str) -> list[str]:
    """The clients that can be had of an exchange here."""
    found = _OF.get(exchange, ())
    return [
        name
        for name in found
        if name not in _PACKAGES or importlib.util.find_spec(_PACKAGES[name]) is not None
    ]


def load(exchange: str, client: str, url: str, seed: int) -> Other:
    """One of them, which trades there."""
    match client:
        case "by-hand":
            from tests.trading.processes.others.by_hand import ByHand

            return ByHand(url, seed)
        case "python-okx":
            from tests.trading.processes.others.python_okx import PythonOkx

            return PythonOkx(url, seed)
        case "python-binance":
            from tests.trading.processes.others.python_binance import PythonBinance

            return PythonBinance(url, seed)
    from tests.trading.processes.others.by_ccxt import ByCcxt

    return ByCcxt(url, seed, name=exchange)
