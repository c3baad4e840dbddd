"""Native and unified symbols map one to one, or the instrument is left out."""

from __future__ import annotations

from typing import Any

import pytest
from ccrs_bybit.foreign import instrument_of
from ccrs_bybit.symbols import instruments
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Instrument, InstrumentStatus, Market, market_of
from ccrs_core.wire import one_to_one

DECEMBER = "1798185600000"  # 2026-12-25 08:00 UTC


def row(symbol: str, base: str, quote: str, **fields: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "baseCoin": base,
        "quoteCoin": quote,
        "status": "Trading",
        "priceFilter": {"tickSize": "0.1"},
        "lotSizeFilter": {"qtyStep": "0.01", "minOrderQty": "0.01", "maxOrderQty": "5"},
        **fields,
    }


def perpetual(symbol: str, base: str, quote: str, settle: str, **fields: Any) -> dict[str, Any]:
    kind = "InversePerpetual" if settle == base else "LinearPerpetual"
    fields = {"contractType": kind, "deliveryTime": "0", **fields}
    return row(symbol, base, quote, settleCoin=settle, **fields)


def only(rows: list[dict[str, Any]], market: Market) -> Instrument:
    (found,) = instruments(rows, market).values
    return found


@pytest.mark.parametrize(
    ("market", "given_row", "symbol"),
    [
        (Market.SPOT, row("BTCUSDT", "BTC", "USDT"), "BTC/USDT"),
        (Market.LINEAR, perpetual("BTCUSDT", "BTC", "USDT", "USDT"), "BTC/USDT:USDT"),
        (Market.LINEAR, perpetual("BTCPERP", "BTC", "USDC", "USDC"), "BTC/USDC:USDC"),
        (Market.INVERSE, perpetual("BTCUSD", "BTC", "USD", "BTC"), "BTC/USD:BTC"),
        (
            Market.LINEAR,
            perpetual(
                "BTC-25DEC26", "BTC", "USDC", "USDC",
                contractType="LinearFutures", deliveryTime=DECEMBER,
            ),
            "BTC/USDC:USDC-261225",
        ),
        (
            Market.LINEAR,
            perpetual(
                "BTCUSDT-25DEC26", "BTC", "USDT", "USDT",
                contractType="LinearFutures", deliveryTime=DECEMBER,
            ),
            "BTC/USDT:USDT-261225",
        ),
        (
            Market.INVERSE,
            perpetual(
                "BTCUSDZ26", "BTC", "USD", "BTC",
                contractType="InverseFutures", deliveryTime=DECEMBER,
            ),
            "BTC/USD:BTC-261225",
        ),
        (
            Market.OPTION,
            row("BTC-25DEC26-90000-C-USDT", "BTC", "USDT", settleCoin="USDT",
                optionsType="Call", deliveryTime=DECEMBER),
            "BTC/USDT:USDT-261225-90000-C",
        ),
        (
            Market.OPTION,
            row("XRP-25DEC26-2.5-P", "XRP", "USD", settleCoin="USDC",
                optionsType="Put", deliveryTime=DECEMBER),
            "XRP/USD:USDC-261225-2.5-P",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_instrument_has_its_unified_name(
    market: Market, given_row: dict[str, Any], symbol: str
) -> None:
    instrument = only([given_row], market)
    assert instrument.symbol == symbol
    assert instrument.native == given_row["symbol"]
    assert market_of(symbol) is market
    # The guess from the native symbol alone agrees, where the symbol shows it.
    guessed = instrument_of(instrument.native, market)
    assert guessed is not None
    assert guessed.symbol == symbol
    assert guessed.expiry_ns == instrument.expiry_ns


def test_a_perpetual_that_is_being_delisted_is_not_dated() -> None:
    rows = [perpetual("OLDUSDT", "OLD", "USDT", "USDT", status="Delivering", deliveryTime=DECEMBER)]
    instrument = only(rows, Market.LINEAR)
    assert instrument.symbol == "OLD/USDT:USDT"
    assert instrument.expiry_ns is None
    assert instrument.status is InstrumentStatus.SETTLING


def test_closed_instruments_are_left_out_and_unknown_states_do_not_trade() -> None:
    rows = [
        perpetual("AUSDT", "A", "USDT", "USDT", status="Closed"),
        perpetual("BUSDT", "B", "USDT", "USDT", status="PreLaunch"),
        perpetual("CUSDT", "C", "USDT", "USDT", status="Musing"),
    ]
    found = {i.native: i.status for i in instruments(rows, Market.LINEAR).values}
    assert found == {"BUSDT": InstrumentStatus.PRELAUNCH, "CUSDT": InstrumentStatus.HALTED}


def test_of_two_that_claim_one_name_the_one_that_trades_keeps_it() -> None:
    rows = [
        perpetual("AUSDT", "X", "USDT", "USDT", status="PreLaunch"),
        perpetual("BUSDT", "X", "USDT", "USDT"),
        perpetual("CUSDT", "X", "USDT", "USDT"),
    ]

    @given(st.permutations(rows))
    def check(order: list[dict[str, Any]]) -> None:
        assert only(order, Market.LINEAR).native == "BUSDT"

    check()


def test_a_name_that_means_another_market_is_refused() -> None:
    # Settled in its base, it would read as inverse.
    odd = perpetual("USDCX", "USDC", "USDT", "USDC", contractType="LinearPerpetual")
    unreadable = perpetual("A/BUSDT", "A/B", "USDT", "USDT")
    assert instruments([odd, unreadable], Market.LINEAR).values == []


coins = st.sampled_from(["BTC", "ETH", "USDT", "USDC", "1000PEPE"])


def test_what_is_kept_maps_one_to_one() -> None:
    @given(st.lists(st.tuples(st.text("ABC", min_size=1, max_size=2), coins, coins, coins)))
    def check(given_rows: list[tuple[str, str, str, str]]) -> None:
        rows = [perpetual(*fields) for fields in given_rows]
        found = instruments(rows, Market.LINEAR).values
        assert len({i.symbol for i in found}) == len(found) == len({i.native for i in found})
        assert {i.symbol for i in found} == {i.symbol for i in one_to_one(reversed(found))}

    check()
