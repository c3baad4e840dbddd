"""How the emulated Bybit's pushes spell what its lists spell otherwise: recorded ones of 2025 and
2026 are terse, where lists pad numbers and say UNKNOWN.

https://bybit-exchange.github.io/docs/v5/websocket/private/order and the pages beside it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ccrs_bybit.emulator_listings import INVERSE, LINEAR, SPOT
from ccrs_core.emulator import trimmed

_CONTRACTS = frozenset({LINEAR, INVERSE})
_NUMBERS = frozenset(
    {
        *("price", "qty", "leavesQty", "cumExecQty", "triggerPrice", "takeProfit", "stopLoss"),
        *("lastPriceOnCreated", "avgPrice", "tpLimitPrice", "slLimitPrice", "trailingStop"),
        *("execPrice", "execQty", "orderPrice", "orderQty", "markPrice", "closedSize"),
        *("size", "entryPrice", "liqPrice"),
    }
)
_BLANK_AT_ZERO = ("triggerPrice", "takeProfit", "stopLoss")
_BLANK_UNKNOWN = ("stopOrderType", "triggerBy", "tpTriggerBy", "slTriggerBy")
_ZERO_FOR_BLANK = ("tpLimitPrice", "slLimitPrice", "slippageTolerance")
_QUOTE_DIGITS = Decimal("0.0000001")


def pushed_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """An order's row as it is pushed."""
    category = row["category"]
    if category == SPOT:
        found = _without(row, ("parentOrderLinkId", "closedPnl", "ocoTriggerBy"))
        for name in ("leavesValue", "cumExecValue"):
            found[name] = f"{Decimal(row[name]).quantize(_QUOTE_DIGITS):f}"
        found |= {name: _trim(row[name]) for name in ("leavesQty", "cumExecQty")}
        return {**found, "smpGroup": str(row["smpGroup"])}  # of spot it is a text
    if category not in _CONTRACTS:
        return dict(row)
    found = _terse(_without(row, ("rpiTakerAccess", "rpiMatchedQty", "ocoTriggerBy")))
    found |= {name: "" for name in _BLANK_AT_ZERO if found[name] == "0"}
    found |= {name: "" for name in _BLANK_UNKNOWN if found[name] == "UNKNOWN"}
    found |= {name: "0" for name in _ZERO_FOR_BLANK if not found[name]}
    return {**found, "tpslMode": found["tpslMode"] or "UNKNOWN"}


def pushed_fill(row: Mapping[str, Any]) -> dict[str, Any]:
    """A fill's row as it is pushed."""
    if row["category"] == SPOT:
        return {**row, "execPnl": "", "leavesQty": _trim(row["leavesQty"])}
    if row["category"] not in _CONTRACTS:
        return dict(row)
    return {**_terse(row), "isLeverage": "0"}


def pushed_position(row: Mapping[str, Any]) -> dict[str, Any]:
    """A position's row as it is pushed."""
    return _terse(row) if row["category"] in _CONTRACTS else dict(row)


def _terse(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _trim(value) if name in _NUMBERS else value for name, value in row.items()}


def _trim(value: Any) -> Any:
    return trimmed(Decimal(value)) if value else value


def _without(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    left_out = frozenset(names)
    return {name: value for name, value in row.items() if name not in left_out}
