"""What kind of account it is, and what its key may do.

https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-account-configuration
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccrs_core import AccountInfo, MarginMode, Market, Permissions, PositionMode
from ccrs_okx import fields
from ccrs_okx.symbols import EXCHANGE

LEVELS = {
    "1": "spot mode",
    "2": "futures mode",
    "3": "multi-currency margin mode",
    "4": "portfolio margin mode",
}
"""By ``acctLv``. Each is switched to on the site the first time."""

MARGIN_MODES = {"2": MarginMode.CROSS, "3": MarginMode.CROSS, "4": MarginMode.PORTFOLIO}
"""What orders say where they don't say otherwise: margin is a matter of each order."""

POSITION_MODES = {"net_mode": PositionMode.ONE_WAY, "long_short_mode": PositionMode.HEDGE}

_CONTRACTS = (Market.LINEAR, Market.INVERSE)


def account_info(row: Mapping[str, Any], account: str) -> AccountInfo:
    """What the configuration says."""
    level, mode = fields.needed(row, "acctLv"), POSITION_MODES.get(fields.text(row, "posMode"))
    return AccountInfo(
        exchange=EXCHANGE,
        account=account,
        user_id=fields.text(row, "uid"),
        kind=LEVELS.get(level, f"acctLv {level}"),
        margin_mode=MARGIN_MODES.get(level),
        position_modes={} if mode is None else dict.fromkeys(_CONTRACTS, mode),
        permissions=_permissions(row, level),
        # Prices beyond the limits are refused: moving them is asked for by each order.
        moves_prices=dict.fromkeys(Market, False),
        refused=(
            "" if level in LEVELS else f"nothing is known of orders in account mode acctLv {level}"
        ),
        native=dict(row),
    )


def _permissions(row: Mapping[str, Any], level: str) -> Permissions | None:
    if "perm" not in row:
        return None
    held = set(fields.text(row, "perm").split(","))
    trades = _markets(row, level) if "trade" in held else frozenset[Market]()
    addresses = fields.text(row, "ip") if len(row.get("ip") or "") <= 64 else row["ip"]
    return Permissions(
        read=True,
        trade=trades,
        withdraw="withdraw" in held,
        # Moves between the accounts of one user go by the same permission as withdrawals.
        transfer="withdraw" in held,
        addresses=tuple(each for each in addresses.split(",") if each),
        native={"perm": row["perm"]},
    )


def _markets(row: Mapping[str, Any], level: str) -> frozenset[Market]:
    """What may be traded: spot mode has no contracts, and options must be activated."""
    found = {Market.SPOT} if level == "1" else set(Market)
    if fields.text(row, "opAuth") == "1":
        found.add(Market.OPTION)
    elif fields.text(row, "opAuth") == "0":
        found.discard(Market.OPTION)
    return frozenset(found)
