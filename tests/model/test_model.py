"""Names of instruments, and what can be asked for."""

from __future__ import annotations

import copy
import pickle
import string
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    Instrument,
    Interest,
    Market,
    OptionKind,
    Subscription,
    Trailing,
    UsageError,
    book,
    candles,
    funding,
    greeks,
    index_price,
    liquidations,
    mark_price,
    open_interest,
    ticker,
    top_of_book,
    trades,
)
from ccrs_core.model.instruments import market_of, unified_symbol
from ccrs_core.model.subscriptions import ACCOUNT_CHANNELS, INTERVALS, MARKET_CHANNELS
from ccrs_core.model.units import NS_PER_SECOND

currencies = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=10)
pairs = st.tuples(currencies, currencies).filter(lambda pair: pair[0] != pair[1])
days = st.integers(0, 36523)  # of the century whose years two digits can tell
strikes = st.decimals("0.0001", "1000000", places=4).filter(bool)


def at(day: int) -> int:
    """Eight in the morning of that day of the century, ns."""
    return (946_713_600 + day * 86_400) * NS_PER_SECOND


@given(pairs)
def test_a_spot_symbol_names_base_and_quote(pair: tuple[str, str]) -> None:
    base, quote = pair
    symbol = unified_symbol(base, quote)
    assert symbol == f"{base}/{quote}"
    assert market_of(symbol) is Market.SPOT


@given(pairs, st.booleans(), st.one_of(st.none(), days))
def test_a_future_is_linear_or_inverse_by_what_it_settles_in(
    pair: tuple[str, str], inverse: bool, day: int | None
) -> None:
    base, quote = pair
    settle = base if inverse else quote
    symbol = unified_symbol(base, quote, settle, None if day is None else at(day))
    assert market_of(symbol) is (Market.INVERSE if inverse else Market.LINEAR)
    name, _, date = symbol.partition("-")
    assert name == f"{base}/{quote}:{settle}"
    if day is not None:
        read = datetime.strptime(date, "%y%m%d").replace(tzinfo=UTC)
        moment = datetime.fromtimestamp(at(day) / NS_PER_SECOND, UTC)
        assert (read.month, read.day) == (moment.month, moment.day)
        assert read.year % 100 == moment.year % 100


@given(pairs, days, strikes, st.sampled_from(OptionKind))
def test_an_options_symbol_tells_its_strike_and_kind(
    pair: tuple[str, str], day: int, strike: Decimal, kind: OptionKind
) -> None:
    base, quote = pair
    symbol = unified_symbol(base, quote, quote, at(day), strike, kind)
    assert market_of(symbol) is Market.OPTION
    _, _, strike_text, letter = symbol.split("-")
    assert Decimal(strike_text) == strike
    assert "E" not in strike_text
    assert not strike_text.endswith(".")
    assert letter == {OptionKind.CALL: "C", OptionKind.PUT: "P"}[kind]


def test_symbols_read_as_the_convention_has_them() -> None:
    december = round(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp()) * NS_PER_SECOND
    assert unified_symbol("BTC", "USDT") == "BTC/USDT"
    assert unified_symbol("BTC", "USDT", "USDT") == "BTC/USDT:USDT"
    assert unified_symbol("BTC", "USD", "BTC") == "BTC/USD:BTC"
    assert unified_symbol("BTC", "USDT", "USDT", december) == "BTC/USDT:USDT-261225"
    option = unified_symbol("BTC", "USDT", "USDT", december, Decimal("100000.0"), OptionKind.CALL)
    assert option == "BTC/USDT:USDT-261225-100000-C"


@given(
    st.lists(
        st.tuples(
            pairs, st.booleans(), st.one_of(st.none(), days), strikes, st.sampled_from(OptionKind)
        ),
        unique=True,
        max_size=8,
    )
)
def test_different_instruments_have_different_symbols(
    rows: list[tuple[tuple[str, str], bool, int | None, Decimal, OptionKind]],
) -> None:
    symbols = {
        (
            unified_symbol(base, quote)
            if spot
            else unified_symbol(base, quote, quote, day and at(day), strike, kind)
            if day
            else unified_symbol(base, quote, quote)
        ): (base, quote, spot, *((day, strike, kind) if day and not spot else ()))
        for (base, quote), spot, day, strike, kind in rows
    }
    identities = {
        (base, quote, spot, *((day, strike, kind) if day and not spot else ()))
        for (base, quote), spot, day, strike, kind in rows
    }
    assert set(symbols.values()) == identities


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BTC",
        "BTCUSDT",
        "/",
        "BTC/",
        "/USDT",
        "BTC/USDT:",
        "BTC/USDT/USD",
        "BTC /USDT",
        "BTC/USDT:USDT-",
        "BTC/USDT:USDT-2612",
        "BTC/USDT:USDT-261225-C",
        "BTC/USDT:USDT-261225-100000-X",
        "BTC/USDT:USDT-261225-100000-C-",
        "BTC/USDT\n",
    ],
)
def test_what_is_no_unified_symbol_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="not a unified symbol; they look like BTC/USDT"):
        market_of(text)


@given(st.text())
def test_any_text_is_a_symbol_or_refused(text: str) -> None:
    try:
        market = market_of(text)
    except UsageError:
        return
    base, _, rest = text.partition("/")
    assert base
    assert rest
    assert (market is Market.SPOT) == (":" not in rest)


# --- what can be asked for ------------------------------------------------------------------------


@given(st.text())
def test_candles_of_an_unknown_interval_are_refused(interval: str) -> None:
    if interval in INTERVALS:
        assert candles("BTC/USDT", interval).interval == interval
        return
    with pytest.raises(UsageError, match="known: 1m, 3m"):
        candles("BTC/USDT", interval)


def test_intervals_differ_by_case_where_they_mean_minutes_and_months() -> None:
    assert INTERVALS["1M"] == 30 * INTERVALS["1d"]
    assert INTERVALS["1m"] == 60
    assert list(INTERVALS.values()) == sorted(set(INTERVALS.values()))
    with pytest.raises(UsageError):
        candles("BTC/USDT", "1H")


def test_each_kind_of_interest_has_its_channel() -> None:
    made = [
        top_of_book("A/B"),
        trades("A/B"),
        book("A/B"),
        ticker("A/B"),
        candles("A/B"),
        funding("A/B"),
        mark_price("A/B"),
        greeks("A/B"),
        index_price("A/B"),
        open_interest("A/B"),
        liquidations("A/B"),
    ]
    others = ACCOUNT_CHANNELS | MARKET_CHANNELS
    of_markets = [channel for channel in Channel if channel not in others]
    assert [interest.channel for interest in made] == of_markets
    assert {interest.symbol for interest in made} == {"A/B"}
    assert candles("A/B").interval == "1m"
    assert book("A/B", 50).depth == 50
    assert len(set(made)) == len(of_markets)


def subscription(
    channel: Channel, depth: int | None = None, interval: str | None = None
) -> Subscription:
    instrument = Instrument(
        exchange="toy", symbol="A/B", native="AB", market=Market.SPOT, base="A", quote="B"
    )
    return Subscription(channel, instrument, depth, interval)


def test_a_subscription_says_what_it_is() -> None:
    assert str(subscription(Channel.BOOK, 50)) == "book 50 of A/B"
    assert str(subscription(Channel.CANDLES, None, "1m")) == "candles 1m of A/B"
    assert str(subscription(Channel.TRADES)) == "trades of A/B"
    assert subscription(Channel.TRADES).symbol == "A/B"


@given(st.sampled_from(Channel), st.one_of(st.none(), st.integers(1, 1000)))
def test_subscriptions_are_values(channel: Channel, depth: int | None) -> None:
    made = subscription(channel, depth)
    for other in (subscription(channel, depth), copy.deepcopy(made)):
        assert (other, hash(other)) == (made, hash(made))
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert len({again, made}) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.depth = 7  # type: ignore[misc]
    assert Interest(channel, "A/B", depth) != Interest(channel, "A/C", depth)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "say one"),
        ({"share": "0.1", "distance": "5"}, "say one"),
        ({"share": 1}, "all of the price"),
        ({"distance": 0}, "above zero"),
        ({"share": "0.1", "activation": "-1"}, "above zero"),
        ({"share": 0.1}, "lost digits"),
    ],
)
def test_a_trailing_trigger_follows_by_one_measure(told: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Trailing(**told)
