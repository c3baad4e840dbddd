"""Native and unified symbols map one to one, or the instrument is left out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ccrs_binance.foreign import instrument_of
from ccrs_binance.symbols import instruments
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import NS_PER_MS, Instrument, InstrumentStatus, Market, market_of
from ccrs_core.wire import one_to_one

NEVER = 4_133_404_800_000
DECEMBER = 1_798_185_600_000  # 2026-12-25 08:00 UTC


def filters(*minimum: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "9", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "5", "stepSize": "0.01"},
        *minimum,
    ]


def pair(symbol: str, base: str, quote: str, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": filters({"filterType": "NOTIONAL", "minNotional": "5.0"}),
        **fields,
    }


def contract(symbol: str, base: str, quote: str, **fields: Any) -> dict[str, Any]:
    return {
        **pair(symbol, base, quote),
        "pair": f"{base}{quote}",
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER,
        "marginAsset": quote,
        "filters": filters({"filterType": "MIN_NOTIONAL", "notional": "5"}),
        **fields,
    }


def dated(symbol: str, kind: str = "CURRENT_QUARTER") -> dict[str, Any]:
    return contract(symbol, "BTC", "USDT", contractType=kind, deliveryDate=DECEMBER)


def coin_margined(symbol: str, kind: str = "PERPETUAL", **fields: Any) -> dict[str, Any]:
    row = contract(symbol, "BTC", "USD", marginAsset="BTC", contractType=kind, filters=filters())
    row["contractStatus"] = row.pop("status")
    return {**row, "contractSize": 100, **fields}


def only(rows: list[dict[str, Any]], market: Market) -> Instrument:
    (found,) = instruments(rows, market).values
    return found


@pytest.mark.parametrize(
    ("market", "row", "symbol"),
    [
        (Market.SPOT, pair("BTCUSDT", "BTC", "USDT"), "BTC/USDT"),
        (Market.SPOT, pair("ETHBTC", "ETH", "BTC"), "ETH/BTC"),
        (Market.LINEAR, contract("BTCUSDT", "BTC", "USDT"), "BTC/USDT:USDT"),
        (Market.LINEAR, contract("1000PEPEUSDC", "1000PEPE", "USDC"), "1000PEPE/USDC:USDC"),
        (Market.LINEAR, dated("BTCUSDT_261225"), "BTC/USDT:USDT-261225"),
        (Market.LINEAR, dated("BTCUSDT_261225", "NEXT_QUARTER"), "BTC/USDT:USDT-261225"),
        (Market.LINEAR, dated("BTCUSDT_261225", ""), "BTC/USDT:USDT-261225"),
        (
            Market.LINEAR,
            contract("TSLAUSDT", "TSLA", "USDT", contractType="TRADIFI_PERPETUAL"),
            "TSLA/USDT:USDT",
        ),
        (Market.INVERSE, coin_margined("BTCUSD_PERP"), "BTC/USD:BTC"),
        (Market.INVERSE, coin_margined("BTCUSD_PERP", ""), "BTC/USD:BTC"),
        (
            Market.INVERSE,
            coin_margined("BTCUSD_261225", "NEXT_QUARTER", deliveryDate=DECEMBER),
            "BTC/USD:BTC-261225",
        ),
    ],
)
def test_every_kind_of_instrument_has_its_unified_name(
    market: Market, row: dict[str, Any], symbol: str
) -> None:
    instrument = only([row], market)
    assert instrument.symbol == symbol
    assert instrument.native == row["symbol"]
    assert market_of(symbol) is market
    # The guess from the native symbol alone agrees, where the symbol shows it.
    guessed = instrument_of(instrument.native, market)
    assert guessed is not None
    assert guessed.symbol == symbol
    assert guessed.expiry_ns == instrument.expiry_ns


def test_contracts_of_coin_margined_futures_are_worth_quote_units() -> None:
    instrument = only([coin_margined("BTCUSD_PERP")], Market.INVERSE)
    assert (instrument.quote_per_contract, instrument.settle) == (100, "BTC")
    assert instrument.min_notional is None
    halted = only([coin_margined("BTCUSD_PERP", contractStatus="SETTLING")], Market.INVERSE)
    assert halted.status is InstrumentStatus.SETTLING
    for size in (None, "100", 0.5, True, 0):
        with pytest.raises((TypeError, ValueError)):
            instruments([coin_margined("BTCUSD_PERP", contractSize=size)], Market.INVERSE)


@pytest.mark.parametrize("market", [Market.SPOT, Market.LINEAR])
def test_rules_are_read_from_the_filters(market: Market) -> None:
    row = (pair if market is Market.SPOT else contract)("BTCUSDT", "BTC", "USDT")
    instrument = only([row], market)
    assert (str(instrument.tick_size), str(instrument.lot_size)) == ("0.10", "0.01")
    assert (instrument.min_size, instrument.max_size) == (Decimal("0.01"), Decimal(5))
    assert instrument.min_notional == Decimal(5)
    assert instrument.quote_per_contract is None


def test_a_rule_that_is_switched_off_is_none() -> None:
    rules = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00", "maxQty": "0.00", "stepSize": "1"},
    ]
    instrument = only([pair("AB", "A", "B", filters=rules)], Market.SPOT)
    assert instrument.tick_size is instrument.min_size is instrument.max_size is None
    assert instrument.min_notional is None
    assert instrument.lot_size == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"contractType": "", "status": "PENDING_TRADING"},
        {"contractType": "PERPETUAL DELIVERING", "deliveryDate": DECEMBER},
        {"contractType": "", "deliveryDate": DECEMBER, "status": "SETTLING"},
    ],
)
def test_a_perpetual_to_come_or_to_go_is_not_dated(fields: dict[str, Any]) -> None:
    instrument = only([contract("XYZUSDT", "XYZ", "USDT", **fields)], Market.LINEAR)
    assert instrument.symbol == "XYZ/USDT:USDT"
    assert instrument.expiry_ns is None


def test_closed_instruments_are_left_out_and_unknown_states_do_not_trade() -> None:
    states = {
        "TRADING": InstrumentStatus.TRADING,
        "CLOSE": None,
        "DELIVERED": None,
        "PENDING_TRADING": InstrumentStatus.PRELAUNCH,
        "SETTLING": InstrumentStatus.SETTLING,
        "BREAK": InstrumentStatus.HALTED,
        "CANCEL_ONLY": InstrumentStatus.HALTED,
        "MUSING": InstrumentStatus.HALTED,
    }
    rows = [contract(f"C{n}USDT", f"C{n}", "USDT", status=s) for n, s in enumerate(states)]
    found = {i.native: i.status for i in instruments(rows, Market.LINEAR).values}
    wanted = {f"C{n}USDT": status for n, status in enumerate(states.values()) if status}
    assert found == wanted


def test_delisted_spot_pairs_are_left_out_unless_nothing_trades_at_all() -> None:
    gone, traded = (
        pair("BCCBTC", "BCC", "BTC", status="BREAK"),
        pair("ETHBTC", "ETH", "BTC"),
    )
    assert [i.native for i in instruments([gone, traded], Market.SPOT).values] == ["ETHBTC"]
    paused = pair("ETHBTC", "ETH", "BTC", status="BREAK")
    found = instruments([gone, paused], Market.SPOT).values
    assert {i.status for i in found} == {InstrumentStatus.HALTED}


def test_contracts_that_settle_after_their_delivery_are_over() -> None:
    rows = [
        contract("OMGUSDT", "OMG", "USDT", status="SETTLING", deliveryDate=DECEMBER),
        contract("BTCUSDT", "BTC", "USDT", status="SETTLING"),
        contract("ETHUSDT", "ETH", "USDT", deliveryDate=DECEMBER),
    ]
    before, after = (DECEMBER - 1) * NS_PER_MS, DECEMBER * NS_PER_MS
    assert len(instruments(rows, Market.LINEAR, before).values) == 3
    found = {i.native: i.status for i in instruments(rows, Market.LINEAR, after).values}
    assert found == {"BTCUSDT": InstrumentStatus.SETTLING, "ETHUSDT": InstrumentStatus.TRADING}
    row = coin_margined("BTCUSD_PERP", contractStatus="SETTLING", deliveryDate=DECEMBER)
    assert instruments([row], Market.INVERSE, after).values == []


def test_a_row_that_cannot_be_read_takes_no_other_away() -> None:
    good = contract("BTCUSDT", "BTC", "USDT")
    nameless = contract("", "", "", pair="", contractType="", status="PENDING_TRADING")
    unsettled = {k: v for k, v in contract("XYZUSDT", "XYZ", "USDT").items() if k != "marginAsset"}
    bad = [nameless, unsettled, {}, None, contract("QUSDT", "Q", "USDT", filters=[1])]
    found = instruments([*bad, good], Market.LINEAR)
    assert ([i.native for i in found.values], found.left_out) == (["BTCUSDT"], len(bad))
    with pytest.raises(ValueError, match="none of 5 rows"):
        instruments(bad, Market.LINEAR)


def test_rules_that_are_blank_or_absent_are_none() -> None:
    blank = [
        {"filterType": "PRICE_FILTER", "tickSize": ""},
        {"filterType": "LOT_SIZE", "minQty": None},
        None,
    ]
    for rules in (None, [], blank):
        instrument = only([contract("BTCUSDT", "BTC", "USDT", filters=rules)], Market.LINEAR)
        assert instrument.tick_size is instrument.lot_size is instrument.min_size is None


def test_names_may_have_any_characters() -> None:
    instrument = only([contract("币安人生USDT", "币安人生", "USDT")], Market.LINEAR)
    assert instrument.symbol == "币安人生/USDT:USDT"
    assert market_of(instrument.symbol) is Market.LINEAR


def test_a_name_that_means_another_market_is_refused() -> None:
    # Settled in its base, it would read as inverse.
    odd = contract("USDCX", "USDC", "USDT", marginAsset="USDC")
    unreadable = contract("A/BUSDT", "A/B", "USDT")
    assert instruments([odd, unreadable], Market.LINEAR).values == []


coins = st.sampled_from(["BTC", "ETH", "USDT", "USDC", "1000PEPE"])


def test_what_is_kept_maps_one_to_one() -> None:
    @given(st.lists(st.tuples(st.text("ABC", min_size=1, max_size=2), coins, coins, coins)))
    def check(given_rows: list[tuple[str, str, str, str]]) -> None:
        rows = [contract(s, base, quote, marginAsset=m) for s, base, quote, m in given_rows]
        found = instruments(rows, Market.LINEAR).values
        assert len({i.symbol for i in found}) == len(found) == len({i.native for i in found})
        assert {i.symbol for i in found} == {i.symbol for i in one_to_one(reversed(found))}

    check()
