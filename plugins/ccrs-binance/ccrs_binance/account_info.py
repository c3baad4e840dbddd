"""What kind of account it is, and what its key may do: told in three parts.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Account-Config
https://developers.binance.com/docs/wallet/account/api-key-permission
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ccrs_binance import fields
from ccrs_binance.symbols import EXCHANGE
from ccrs_core import AccountInfo, Market, Permissions, PositionMode

INFO_PATHS = (
    "/api/v3/account",
    "/fapi/v1/accountConfig",
    # Of mainnet alone.
    "/sapi/v1/account/apiRestrictions",
)
SPOT, FUTURES, KEY = range(len(INFO_PATHS))

_CONTRACTS = (Market.LINEAR, Market.INVERSE)

POSITION_MODES = {True: PositionMode.HEDGE, False: PositionMode.ONE_WAY, None: None}


def read_info(part: int, row: Mapping[str, Any], account: str) -> AccountInfo:
    """What one part says."""
    if part == SPOT:
        return AccountInfo(
            exchange=EXCHANGE,
            account=account,
            user_id=fields.identity(row, "uid"),
            kind=fields.text(row, "accountType").lower(),
            margin_mode=None,
            # Prices beyond the limits are refused.
            moves_prices=dict.fromkeys(Market, False),
            native={name: row[name] for name in _OF_SPOT if name in row},
        )
    if part == FUTURES:
        mode = POSITION_MODES[fields.truth(row, "dualSidePosition")]
        return attrs.evolve(
            _nothing(account),
            # One mode counts for both kinds of futures.
            position_modes={} if mode is None else dict.fromkeys(_CONTRACTS, mode),
            native={name: row[name] for name in _OF_FUTURES if name in row},
        )
    return attrs.evolve(_nothing(account), permissions=_permissions(row))


_OF_SPOT = (
    "canTrade",
    "accountType",
    "permissions",
    "requireSelfTradePrevention",
    "commissionRates",
)
_OF_FUTURES = ("canTrade", "feeTier", "dualSidePosition", "multiAssetsMargin", "tradeGroupId")


def _nothing(account: str) -> AccountInfo:
    return AccountInfo(exchange=EXCHANGE, account=account, user_id="", kind="", margin_mode=None)


def untold(part: int, account: str) -> AccountInfo | None:
    """What stands for a part that is refused for good: futures that were never opened, an
    environment that tells nothing of keys. None: there is no account without it."""
    return None if part == SPOT else _nothing(account)


def joined_info(parts: Sequence[AccountInfo]) -> AccountInfo:
    """What all parts say."""
    first = parts[0]
    native = {name: value for each in parts for name, value in each.native.items()}
    modes = {m: mode for each in parts for m, mode in each.position_modes.items()}
    told = [each.permissions for each in parts if each.permissions is not None]
    refused = "" if first.native.get("canTrade", True) else "Binance says that it may not trade"
    return attrs.evolve(
        first,
        position_modes=modes,
        permissions=told[-1] if told else None,
        refused=refused,
        native=native,
    )


def _permissions(row: Mapping[str, Any]) -> Permissions:
    trades: set[Market] = set()
    if fields.truth(row, "enableSpotAndMarginTrading"):
        trades.add(Market.SPOT)
    if fields.truth(row, "enableFutures"):
        trades |= {Market.LINEAR, Market.INVERSE}
    moves = ("enableInternalTransfer", "permitsUniversalTransfer")
    return Permissions(
        read=bool(fields.truth(row, "enableReading")),
        trade=frozenset(trades),
        withdraw=bool(fields.truth(row, "enableWithdrawals")),
        transfer=any(fields.truth(row, name) for name in moves),
        expires_ns=fields.time(row, "tradingAuthorityExpirationTime"),
        native=dict(row),
    )
