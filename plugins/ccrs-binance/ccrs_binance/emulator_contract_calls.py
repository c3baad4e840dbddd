"""The calls to accounts of contracts of the emulated Binance: by REST, and by the names of the
WebSocket APIs, which have fewer.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info and
https://developers.binance.com/docs/derivatives/coin-margined-futures/general-info
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_algo import LISTED, NEW_ALGO, WHICH_ALGO
from ccrs_binance.emulator_calls import Act, Call, asking, cheap_with, placing
from ccrs_binance.emulator_contract_accounts import ContractAccounts
from ccrs_binance.emulator_contract_orders import MODIFY, WHICH, ContractOrders
from ccrs_binance.emulator_contract_records import FILLS, INCOME, ORDERS, ContractRecords
from ccrs_binance.emulator_contract_tickets import NEW_ORDER
from ccrs_binance.emulator_listings import COINM, USDM
from ccrs_binance.emulator_params import Params

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

PREFIXES = {USDM: "/fapi", COINM: "/dapi"}
_Of = Callable[[str, Params, int], Any]


def contract_calls(trading: Trading, category: str) -> dict[tuple[str, str], Call]:
    """By method and path."""
    v1 = f"{PREFIXES[category]}/v1"
    found = {
        (method, f"{v1}/{name}"): call
        for calls in (_orders(trading, category), _asked(trading, category))
        for (method, name), call in calls.items()
    }
    if category == USDM:
        accounts = ContractAccounts(trading, category)
        for version in ("v2", "v3"):
            for name, act in (("balance", accounts.balance), ("account", accounts.account)):
                found["GET", f"/fapi/{version}/{name}"] = asking(act, weight=5)
        found["GET", "/fapi/v2/positionRisk"] = asking(accounts.all_risks, "symbol", weight=5)
        found["GET", "/fapi/v3/positionRisk"] = asking(accounts.risks, "symbol", weight=5)
    else:
        brackets = ContractAccounts(trading, category).brackets
        found["GET", "/dapi/v2/leverageBracket"] = asking(brackets, "symbol", weight=1)
    return found


def _orders(trading: Trading, category: str) -> dict[tuple[str, str], Call]:
    """What changes orders."""
    orders, algo = ContractOrders(trading, category), trading.algo

    def of(act: _Of) -> Act:
        return partial(act, category)

    five = placing(orders.place_batch, "batchOrders", weight=5, orders=5)
    conditional = {
        ("POST", "algoOrder"): placing(of(algo.place), *NEW_ALGO, weight=0),
        ("DELETE", "algoOrder"): placing(of(algo.cancel), *WHICH_ALGO, orders=0),
        ("DELETE", "algoOpenOrders"): placing(of(algo.cancel_all), "symbol", orders=0),
    }
    return conditional | {
        ("POST", "order"): placing(orders.place, *NEW_ORDER, weight=0),
        ("POST", "order/test"): Call(act=orders.test, names=NEW_ORDER, weight=1),
        ("PUT", "order"): placing(orders.modify, *MODIFY, weight=0),
        ("DELETE", "order"): placing(orders.cancel, *WHICH, orders=0),
        ("DELETE", "allOpenOrders"): placing(orders.cancel_all, "symbol", orders=0),
        ("POST", "batchOrders"): five,
        ("PUT", "batchOrders"): attrs.evolve(five, act=orders.modify_batch),
        ("DELETE", "batchOrders"): placing(
            orders.cancel_batch, "symbol", "orderIdList", "origClientOrderIdList", orders=0
        ),
        ("POST", "countdownCancelAll"): Call(
            act=orders.countdown, names=("symbol", "countdownTime"), weight=10, trades=True
        ),
    }


def _asked(trading: Trading, category: str) -> dict[tuple[str, str], Call]:
    """What tells of accounts, and their settings."""
    records, accounts = ContractRecords(trading, category), ContractAccounts(trading, category)
    algo, keys = trading.algo, trading.listen_keys

    def setting(act: Act, *names: str, weight: int = 1) -> Call:
        return Call(act=act, names=names, weight=weight, trades=True)

    def keyed(act: _Of) -> Call:
        return Call(act=partial(act, category), names=("listenKey",), weight=1, signed=False)

    found = {
        ("GET", "order"): asking(records.order, *WHICH, weight=1),
        ("GET", "openOrder"): asking(records.open_order, *WHICH, weight=1),
        ("GET", "openOrders"): asking(
            records.open_orders, "symbol", "pair", weight=cheap_with("symbol", 1, 40)
        ),
        ("GET", "allOrders"): asking(records.all_orders, *ORDERS, weight=5),
        ("GET", "userTrades"): asking(records.trades, *FILLS, weight=5),
        ("GET", "income"): asking(records.income, *INCOME, weight=30),
        ("GET", "algoOrder"): asking(partial(algo.one, category), *WHICH_ALGO, weight=1),
        ("GET", "openAlgoOrders"): asking(
            partial(algo.open_orders, category), *LISTED, weight=cheap_with("symbol", 1, 40)
        ),
        ("GET", "allAlgoOrders"): asking(partial(algo.all_orders, category), *LISTED, weight=5),
        ("GET", "commissionRate"): asking(accounts.commission, "symbol", weight=20),
        ("GET", "leverageBracket"): asking(accounts.brackets, "symbol", weight=1),
        ("GET", "rateLimit/order"): asking(accounts.order_counts, weight=1),
        ("GET", "positionSide/dual"): asking(accounts.dual, weight=30),
        ("POST", "positionSide/dual"): setting(accounts.set_dual, "dualSidePosition"),
        ("POST", "leverage"): setting(accounts.set_leverage, "symbol", "leverage"),
        ("POST", "marginType"): setting(accounts.set_margin_type, "symbol", "marginType"),
        ("POST", "positionMargin"): setting(
            accounts.add_margin, "symbol", "amount", "type", "positionSide"
        ),
        ("POST", "listenKey"): keyed(keys.start),
        ("PUT", "listenKey"): keyed(keys.keep),
        ("DELETE", "listenKey"): keyed(keys.stop),
    }
    if category == COINM:
        found["GET", "balance"] = asking(accounts.balance, weight=1)
        found["GET", "account"] = asking(accounts.account, weight=5)
        found["GET", "positionRisk"] = asking(accounts.all_risks, "marginAsset", "pair", weight=1)
    else:
        found["GET", "accountConfig"] = asking(accounts.config, weight=5)
        found["GET", "symbolConfig"] = asking(accounts.symbol_config, "symbol", weight=5)
        found["GET", "multiAssetsMargin"] = asking(accounts.multi_assets, weight=30)
    return found


def socket_names(category: str) -> dict[str, tuple[str, str]]:
    """What the WebSocket API of a host has, by its names."""
    prefix = PREFIXES[category]
    v1 = f"{prefix}/v1"
    plain = {
        "order.place": ("POST", f"{v1}/order"),
        "order.modify": ("PUT", f"{v1}/order"),
        "order.cancel": ("DELETE", f"{v1}/order"),
        "order.status": ("GET", f"{v1}/order"),
        "userDataStream.start": ("POST", f"{v1}/listenKey"),
        "userDataStream.ping": ("PUT", f"{v1}/listenKey"),
        "userDataStream.stop": ("DELETE", f"{v1}/listenKey"),
    }
    if category == COINM:
        return plain | {
            "account.balance": ("GET", f"{v1}/balance"),
            "account.status": ("GET", f"{v1}/account"),
            "account.position": ("GET", f"{v1}/positionRisk"),
        }
    return plain | {
        "algoOrder.place": ("POST", f"{v1}/algoOrder"),
        "algoOrder.cancel": ("DELETE", f"{v1}/algoOrder"),
        "account.balance": ("GET", "/fapi/v2/balance"),
        "v2/account.balance": ("GET", "/fapi/v3/balance"),
        "account.status": ("GET", "/fapi/v2/account"),
        "v2/account.status": ("GET", "/fapi/v3/account"),
        "account.position": ("GET", "/fapi/v2/positionRisk"),
        "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    }
