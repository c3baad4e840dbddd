"""What kind of account it is, and what its key may do: told by three calls, read as one answer.

https://bybit-exchange.github.io/docs/v5/account/account-info
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ccrs_bybit.symbols import EXCHANGE
from ccrs_core import AccountInfo, MarginMode, Market, Permissions
from ccrs_core.wire import ns_of_rfc3339

INFO_PATHS = ("/v5/account/info", "/v5/user/query-api", "/v5/account/user-setting-config")
"""What is asked, one after another."""

MARGIN_MODES = {
    "ISOLATED_MARGIN": MarginMode.ISOLATED,
    "REGULAR_MARGIN": MarginMode.CROSS,
    "PORTFOLIO_MARGIN": MarginMode.PORTFOLIO,
}
KINDS = {
    1: "classic",
    3: "unified 1.0",
    4: "unified 1.0 pro",
    5: "unified",
    6: "unified pro",
}
"""https://bybit-exchange.github.io/docs/v5/enum#unifiedmarginstatus"""
_UNIFIED = frozenset({3, 4, 5, 6})

_CONTRACTS = frozenset({Market.LINEAR, Market.INVERSE})
_TRADES = {
    ("ContractTrade", "Order"): _CONTRACTS,
    ("Derivatives", "DerivativesTrade"): _CONTRACTS | {Market.OPTION},
    ("Options", "OptionsTrade"): frozenset({Market.OPTION}),
    ("Spot", "SpotTrade"): frozenset({Market.SPOT}),
}
"""Where orders may be placed, by permission.

https://bybit-exchange.github.io/docs/v5/user/apikey-info
"""
_TRANSFERS = frozenset({"AccountTransfer", "SubMemberTransfer"})

_EPOCH = "1970-"
"""What a key's end begins with where it has none."""

_KEY_DETAILS = ("note", "type", "vipLevel", "mktMakerLevel", "isMaster", "parentUid", "uta")


def read_info(part: int, result: Mapping[str, Any], account: str) -> AccountInfo:
    """What one of the calls says."""
    return (_mode, _key, _prices)[part](result, account)


def untold(part: int, account: str) -> AccountInfo | None:
    """What stands for a call that isn't answered, as those beside the mode aren't for demo
    accounts: nothing is known of the key, and prices are moved as they are by default.

    https://bybit-exchange.github.io/docs/v5/demo
    """
    if part == 0:
        return None
    blank = AccountInfo(exchange=EXCHANGE, account=account, user_id="", kind="", margin_mode=None)
    return blank if part == 1 else _prices({"lpaSpot": False, "lpaPerp": False}, account)


def joined_info(parts: Sequence[AccountInfo]) -> AccountInfo:
    """What they say together."""
    mode, key, prices = parts
    return attrs.evolve(
        mode,
        user_id=key.user_id,
        permissions=key.permissions,
        moves_prices=prices.moves_prices,
        native={**mode.native, **key.native, **prices.native},
    )


def _mode(result: Mapping[str, Any], account: str) -> AccountInfo:
    status = result["unifiedMarginStatus"]
    if type(status) is not int:
        raise TypeError("unifiedMarginStatus is no number")
    kind = KINDS.get(status, f"unifiedMarginStatus {status}")
    refused = (
        ""
        if status in _UNIFIED
        else (f"orders are placed for unified trading accounts alone, and this one is: {kind}")
    )
    return AccountInfo(
        exchange=EXCHANGE,
        account=account,
        user_id="",
        kind=kind,
        margin_mode=MARGIN_MODES.get(result.get("marginMode", "")),
        refused=refused,
        native=dict(result),
    )


def _key(result: Mapping[str, Any], account: str) -> AccountInfo:
    held = {
        (kind, each) for kind, several in result["permissions"].items() for each in several or ()
    }
    trades = (markets for permission, markets in _TRADES.items() if permission in held)
    reads_only = bool(result["readOnly"])
    wallet = set() if reads_only else {each for kind, each in held if kind == "Wallet"}
    expires = result.get("expiredAt") or ""
    permissions = Permissions(
        read=True,
        trade=frozenset() if reads_only else frozenset().union(*trades),
        withdraw="Withdraw" in wallet,
        transfer=bool(_TRANSFERS & wallet),
        addresses=tuple(str(each) for each in result.get("ips") or () if each != "*"),
        expires_ns=None if not expires or expires.startswith(_EPOCH) else ns_of_rfc3339(expires),
        native={"permissions": result["permissions"], "readOnly": result["readOnly"]},
    )
    return AccountInfo(
        exchange=EXCHANGE,
        account=account,
        user_id=str(result.get("userID") or ""),
        kind="",
        margin_mode=None,
        permissions=permissions,
        native={name: result[name] for name in _KEY_DETAILS if name in result},
    )


def _prices(result: Mapping[str, Any], account: str) -> AccountInfo:
    """Whether prices beyond the band are moved into it. What is true of one means the contrary of
    the other. https://bybit-exchange.github.io/docs/v5/account/get-user-setting-config"""
    spot, contracts = result["lpaSpot"], result["lpaPerp"]
    if type(spot) is not bool or type(contracts) is not bool:
        raise TypeError("the settings of price limits are no truths")
    return AccountInfo(
        exchange=EXCHANGE,
        account=account,
        user_id="",
        kind="",
        margin_mode=None,
        moves_prices={Market.SPOT: spot, **dict.fromkeys(sorted(_CONTRACTS), not contracts)},
        native=dict(result),
    )
