"""What requests cost at the emulated Binance, and what happens to those who spend too much.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import orjson

from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_core import NS_PER_SECOND, HttpResponse
from ccrs_core.emulator import Query
from ccrs_core.emulator import milliseconds as ms

_MINUTE_NS = 60 * NS_PER_SECOND
_PATIENCE = 5
"""Requests after a refusal that are refused as well before the address is banned."""
_BAN_NS = 120 * NS_PER_SECOND


def refusal(code: int | str, text: str, status: int, headers: Mapping[str, str]) -> HttpResponse:
    body = orjson.dumps({"code": code, "msg": text})
    return HttpResponse(status, {"Content-Type": "application/json", **headers}, body)


@attrs.define
class _Spender:
    """What one address has spent in a span of time, and what it did after it was told to stop."""

    span: int = -1
    used: int = 0
    refused: int = 0
    banned_until_ns: int = 0


class Weights:
    """Counts request weight per address and minute (or several); who goes on after a refusal is
    banned."""

    def __init__(self, limit: int | None, minutes: int = 1) -> None:
        self.limit = limit
        self._minutes = minutes
        self._span_ns = minutes * _MINUTE_NS
        self._spenders: dict[str, _Spender] = {}

    def spend(self, address: str, weight: int, now_ns: int) -> tuple[int, HttpResponse | None]:
        """What is used now, and the refusal where it is too much."""
        spender = self._spenders.setdefault(address, _Spender())
        span = now_ns // self._span_ns
        if span != spender.span:
            spender.span, spender.used = span, 0
        if now_ns < spender.banned_until_ns:
            return spender.used, self._banned(spender, now_ns)
        if self.limit is None or spender.used + weight <= self.limit:
            spender.used += weight
            spender.refused = 0
            return spender.used, None
        spender.refused += 1
        if spender.refused > _PATIENCE:
            spender.banned_until_ns = now_ns + _BAN_NS
            return spender.used, self._banned(spender, now_ns)
        wait = ((span + 1) * self._span_ns - now_ns) // NS_PER_SECOND + 1
        text = (
            f"Too much request weight used; current limit is {self.limit} request weight per "
            f"{self._minutes} MINUTE. Please use WebSocket Streams for live updates to avoid "
            "polling the API."
        )
        return spender.used, refusal(-1003, text, 429, {"Retry-After": str(wait)})

    def standing(self, address: str, now_ns: int) -> tuple[int, HttpResponse | None]:
        """What is used now, and the refusal of a banned address, of a request that costs
        nothing."""
        spender = self._spenders.get(address, _Spender())
        used = spender.used if now_ns // self._span_ns == spender.span else 0
        banned = now_ns < spender.banned_until_ns
        return used, self._banned(spender, now_ns) if banned else None

    def banned(self, address: str) -> bool:
        """Whether an address was ever banned."""
        spender = self._spenders.get(address)
        return spender is not None and spender.banned_until_ns > 0

    @staticmethod
    def _banned(spender: _Spender, now_ns: int) -> HttpResponse:
        wait = (spender.banned_until_ns - now_ns) // NS_PER_SECOND + 1
        until = ms(spender.banned_until_ns)
        text = f"Way too much request weight used; IP banned until {until}."
        return refusal(-1003, text, 418, {"Retry-After": str(wait)})


Weight = Callable[[Query], int]


def each(spot: int | Weight, futures: int | Weight) -> dict[str, int | Weight]:
    return {SPOT: spot, USDM: futures, COINM: futures}


def limit_of(query: Query, usual: int) -> int:
    text = query.values.get("limit", "")
    return int(text) if text.isdecimal() and len(text) < 9 else usual


def one_or(one: int, all_of_them: int) -> Weight:
    """What a call costs with a symbol and without."""
    return lambda query: one if query.values.get("symbol") else all_of_them


def spot_depth_weight(query: Query) -> int:
    limit = limit_of(query, 100)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def futures_depth_weight(query: Query) -> int:
    limit = limit_of(query, 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def futures_klines_weight(query: Query) -> int:
    limit = limit_of(query, 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
