"""The emulated Bybit's rows have the fields that Bybit's have, of the same types, and no others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
from bybit_trader import Socket, Trader, dialect, exchange, pass_time, rows
from ccrs_bybit.emulator_order_rows import Ids
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.emulator import ApiKey, FeeRates

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", "/nowhere"))
OPTION = "BTC-27MAR26-105000-C-USDT"
AT = {"linear": "BTCUSDT", "inverse": "BTCUSD", "spot": "BTCUSDT", "option": OPTION}
SIZES = {"linear": "0.05", "inverse": "500", "spot": "0.01", "option": "0.1"}

# Documented, and in no fixture: https://bybit-exchange.github.io/docs/v5/order/open-order,
# …/v5/order/execution, …/v5/position, …/v5/account/wallet-balance and the streams beside them.
ORDER = {
    *("parentOrderLinkId", "createType", "marketUnit", "ocoTriggerBy", "slippageTolerance"),
    *("slippageToleranceType", "extraFees", "rpiTakerAccess", "rpiMatchedQty", "cumFeeDetail"),
    *("tpslMode", "basePrice", "isLeverage"),
}
PUSHED_ORDER = {*ORDER, "closedPnl"} - {"extraFees", "basePrice"}
EXECUTION = {"createType", "execFeeV2"}
PUSHED_EXECUTION = {"createType"}
GREEKS = {"delta", "gamma", "vega", "theta"}
# Spelled so by recordings of 2023, otherwise since.
FORMER = {"tpSlMode", "free"}
# What a product's rows don't have: the pages say so.
NOT_OF = {
    "spot": {"createType", "tpslMode", "lastPriceOnCreated"},
    "linear": {"basePrice"},
    "inverse": {"basePrice"},
    "option": {"basePrice"},
}


# Recorded pushes of a product since 2025 lack what documented examples have.
PUSHES_LACK = {*("rpiMatchedQty", "rpiTakerAccess", "parentOrderLinkId", "closedPnl")}


@cache
def world() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Rows by kind and category, of an account that has traded everywhere."""
    venue = exchange(5)
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution", "execution.fast", "position", "wallet")
    for category, symbol in AT.items():
        more = {"orderLinkId": "once"} if category == "option" else {}
        trader.create(category, symbol, "Buy", SIZES[category], **more, **_lots(category))
        bid, _ = trader.best(category, symbol)
        named = {"orderLinkId": "rests"} if category == "option" else {}
        trader.create(category, symbol, "Buy", SIZES[category], price=bid, **named)
        pass_time(venue, 0.2)
    trader.create("linear", "BTCUSDT", "Sell", "0.02")
    pass_time(venue, 0.2)
    frames = socket.heard()
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def keep(kind: str, category: str, some: list[dict[str, Any]]) -> None:
        assert some, (kind, category)
        found.setdefault(kind, {})[category] = some

    for category, symbol in AT.items():
        about = {"category": category, "symbol": symbol}
        lists = {
            "order": trader.get("/v5/order/realtime", **about, openOnly=1),
            "past order": trader.get("/v5/order/history", **about),
            "execution": trader.get("/v5/execution/list", **about),
        }
        if category != "spot":
            lists["position"] = trader.get("/v5/position/list", **about)
        for kind, answer in lists.items():
            keep(kind, category, answer["result"]["list"])
        for topic in ("order", "execution", "execution.fast", "position"):
            if (topic, category) != ("position", "spot"):
                pushed = [row for row in rows(frames, topic) if row["category"] == category]
                keep(f"pushed {topic}", category, pushed)
    wallet = trader.get("/v5/account/wallet-balance", accountType="UNIFIED")["result"]["list"]
    keep("wallet", "", wallet)
    keep("pushed wallet", "", rows(frames, "wallet"))
    keep("coin", "", wallet[0]["coin"])
    keep("pushed coin", "", [each for row in rows(frames, "wallet") for each in row["coin"]])
    return found


def _lots(category: str) -> dict[str, str]:
    return {"marketUnit": "baseCoin"} if category == "spot" else {}


def documented(kind: str) -> list[dict[str, Any]]:
    """The fixtures' rows of a kind."""
    rest = {
        "order": ["doc-order-realtime", "order-realtime-linear"],
        "past order": ["doc-order-history"],
        "execution": ["doc-execution-list"],
        "position": ["doc-position-list", "position-list"],
        "wallet": ["doc-wallet-balance", "wallet-balance"],
    }
    streams = {
        "pushed order": ["private-order", "doc-private-order"],
        "pushed execution": ["private-execution", "doc-private-execution"],
        "pushed position": ["private-position", "doc-private-position"],
        "pushed wallet": ["doc-private-wallet"],
    }
    if kind.endswith("coin"):
        wallets = documented(kind.replace("coin", "wallet"))
        return [coin for wallet in wallets for coin in wallet["coin"]]
    found: list[dict[str, Any]] = []
    for name in rest.get(kind, ()):
        found += json.loads((FIXTURES / f"bybit/rest/{name}.json").read_text())["result"]["list"]
    for name in streams.get(kind, ()):
        for line in (FIXTURES / f"bybit/ws/{name}.jsonl").read_text().splitlines():
            found += json.loads(line)["data"]
    return found


ALSO: Mapping[str, set[str]] = {
    "order": ORDER,
    "past order": ORDER,
    "execution": EXECUTION,
    "position": {"openTime", *GREEKS},
    "wallet": set(),
    "coin": {"colRes"},
    "pushed order": PUSHED_ORDER,
    "pushed execution": PUSHED_EXECUTION,
    "pushed position": {"openTime", *GREEKS},
    "pushed wallet": set(),
    "pushed coin": {"colRes"},
}


@pytest.mark.skipif(not (FIXTURES / "bybit/rest").exists(), reason="CCRS_FIXTURES has no rows")
@pytest.mark.parametrize("kind", sorted(ALSO))
def test_rows_have_the_recorded_fields_and_no_others(kind: str) -> None:
    recorded = documented(kind)
    names = {name for row in recorded for name in row} - FORMER
    types = {name: type(row[name]) for row in recorded for name in row}
    for category, found in world()[kind].items():
        for row in found:
            lacking = NOT_OF.get(category, set()) if "order" in kind else set()
            if kind == "pushed order":
                lacking = lacking | PUSHES_LACK
            if category == "spot" or (kind.startswith("pushed") and category == "option"):
                lacking = lacking | {"createType"}
            assert names - row.keys() <= lacking, (category, names - row.keys() - lacking)
            added = row.keys() - names
            assert added <= ALSO[kind], (category, added - ALSO[kind])
            for name, value in row.items():
                if name in types and name not in {"extraFees", "smpGroup"}:
                    assert type(value) is types[name], (category, name, value)


def test_numbers_are_text_without_exponents() -> None:
    texts = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
    numeric = ("qty", "Qty", "Value", "Fee", "Price", "price", "PnL", "Pnl", "IM", "MM", "equity")
    for kind, by_category in world().items():
        for found in by_category.values():
            for row in found:
                for name, value in row.items():
                    if isinstance(value, float):
                        pytest.fail(f"{kind}: {name} is a float")
                    if name.endswith(numeric) and isinstance(value, str) and value:
                        assert texts.fullmatch(value), (kind, name, value)


def test_pushes_come_in_envelopes_of_their_topic() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution.fast.linear", "wallet")
    trader.create("linear", "BTCUSDT", "Buy", "0.01")
    frames = socket.heard(0.2)
    assert {frame["topic"] for frame in frames} == {"order", "execution.fast.linear", "wallet"}
    for frame in frames:
        identified = set() if frame["topic"].startswith("execution.fast") else {"id"}
        assert frame.keys() == {"topic", "creationTime", "data"} | identified
        assert isinstance(frame["creationTime"], int)
    assert len({frame["id"] for frame in frames if "id" in frame}) == len(frames) - 1
    [early] = rows(frames, "execution.fast.linear")
    assert early.keys() == {
        *("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker"),
        *("orderLinkId", "side", "execTime", "seq"),
    }


def test_sums_of_an_order_are_those_of_its_fills() -> None:
    for kind, fills in (("order", "execution"), ("pushed order", "pushed execution")):
        for category, orders in world()[kind].items():
            last = {row["orderId"]: row for row in reversed(orders)}
            if kind.startswith("pushed"):
                last = {row["orderId"]: row for row in orders}
            for order_id, order in last.items():
                mine = [row for row in world()[fills][category] if row["orderId"] == order_id]
                quantity = sum((Decimal(row["execQty"]) for row in mine), Decimal(0))
                value = sum((Decimal(row["execValue"]) for row in mine), Decimal(0))
                assert Decimal(order["cumExecQty"]) == quantity, (kind, category)
                assert abs(Decimal(order["cumExecValue"]) - value) < Decimal("0.0001")


def test_fees_are_in_the_coin_that_the_documents_say() -> None:
    """https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction"""
    venue = exchange()
    account = dialect(venue).trading.desk.accounts["emulator"]
    trader = Trader(venue)

    def fee(side: str, maker_rate: str, *, maker: bool) -> tuple[str, bool]:
        rates = FeeRates(maker=Decimal(maker_rate), taker=Decimal("0.001"))
        account.fee_rates["spot"] = rates
        price = trader.best("spot", "ETHUSDT")[(side == "Buy") is not maker]
        order_id = trader.create("spot", "ETHUSDT", side, "0.01", price=price)
        for _ in range(300):
            pass_time(venue, 1.0)
            found = trader.get("/v5/execution/list", category="spot", orderId=order_id)
            if found["result"]["list"]:
                break
        row = found["result"]["list"][0]
        assert row["isMaker"] is maker
        return row["feeCurrency"], row["execFee"].startswith("-")

    assert fee("Buy", "0.001", maker=False) == ("ETH", False)
    assert fee("Sell", "-0.0001", maker=False) == ("USDT", False)
    assert fee("Buy", "0.001", maker=True) == ("ETH", False)
    assert fee("Sell", "0.001", maker=True) == ("USDT", False)
    assert fee("Buy", "-0.0001", maker=True) == ("USDT", True)
    assert fee("Sell", "-0.0001", maker=True) == ("ETH", True)


@given(st.integers(0, 2**31), st.integers(0, 2**40), st.sampled_from(["spot", "linear"]))
def test_ids_lead_back_to_their_order_and_invented_ones_nowhere(
    seed: int, number: int, category: str
) -> None:
    ids = Ids(seed)
    text = ids.of(category, number)
    assert ids.number(text) == number
    assert ids.number(f"{text}0") is None
    assert ids.number(text.upper()) in {None, number}
    assert ids.of(category, number + 1) != text
    assert Ids(seed).of(category, number) == text


@pytest.mark.parametrize("text", ["", "x", "-5", "٣", "1" * 60, "0" * 32])
def test_what_was_never_an_id_is_none(text: str) -> None:
    assert Ids(0).number(text) is None


def test_a_key_is_described_by_what_it_may() -> None:
    venue = exchange()
    desk = dialect(venue).trading.desk
    key = ApiKey(
        key="k",
        secret="k",
        account="emulator",
        may=frozenset({"read"}),
        addresses=frozenset({"127.0.0.1"}),
        expires_ns=venue.now_ns + 3 * 86_400 * 10**9,
    )
    desk.add_key(key)
    told = Trader(venue, "k").get("/v5/user/query-api")["result"]
    assert (told["readOnly"], told["ips"], told["deadlineDay"]) == (1, ["127.0.0.1"], 3)
    assert told["expiredAt"] == "2026-01-04T00:00:00Z"
    assert not any(told["permissions"].values())
    desk.add_key(attrs.evolve(key, may=frozenset({"read", "trade", "withdraw"})))
    told = Trader(venue, "k").get("/v5/user/query-api")["result"]
    assert told["readOnly"] == 0
    assert told["permissions"]["Wallet"] == ["Withdraw"]
    assert told["permissions"]["Spot"] == ["SpotTrade"]
