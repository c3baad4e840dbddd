"""Native and unified symbols map one to one, or the instrument is left out; sizes are exact."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal, localcontext
from typing import Any

import attrs
import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import instrument_of
from ccrs_okx.sizes import contract_of, shortest
from ccrs_okx.symbols import instrument_type
from ccrs_okx.symbols import instruments as read_instruments
from hypothesis import example, given
from hypothesis import strategies as st
from okx_frames import worth, worth_of

from ccrs_core import (
    BookUpdate,
    Channel,
    Data,
    Instrument,
    InstrumentStatus,
    Market,
    OptionKind,
    OrderBook,
    Subscription,
    market_of,
)
from ccrs_core.model.orderbook import Applied
from ccrs_core.wire import MALFORMED, one_to_one, product, sizes_in

DECEMBER = "1798185600000"  # 2026-12-25 08:00 UTC


def row(native: str, kind: str, **fields: Any) -> dict[str, Any]:
    """A row of 2026, with everything in it that OKX sends."""
    return {
        "alias": "", "auctionEndTime": "", "baseCcy": "", "category": "1", "contTdSwTime": "",
        "ctMult": "", "ctType": "", "ctVal": "", "ctValCcy": "", "expTime": "",
        "futureSettlement": False, "groupId": "1", "instFamily": "", "instId": native,
        "instIdCode": 7, "instType": kind, "lever": "10", "listTime": "1597026383085",
        "lotSz": "1", "maxIcebergSz": "100000000.0", "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000", "maxMktSz": "1", "minSz": "1", "openType": "", "optType": "",
        "quoteCcy": "", "ruleType": "normal", "settleCcy": "", "state": "live", "stk": "",
        "tickSz": "0.1", "tradeQuoteCcyList": [], "uly": "", "upcChg": [], **fields,
    }  # fmt: skip


def pair(base: str, quote: str, **fields: Any) -> dict[str, Any]:
    return row(f"{base}-{quote}", "SPOT", baseCcy=base, quoteCcy=quote, **fields)


def linear(native: str, kind: str = "SWAP", value: str = "0.01", **fields: Any) -> dict[str, Any]:
    base, quote = native.split("-")[:2]
    values = {"ctType": "linear", "ctVal": value, "ctMult": "1", "ctValCcy": base}
    uly = f"{base}-{quote}"
    return row(
        native, kind, **{"settleCcy": quote, "uly": uly, "instFamily": uly, **values, **fields}
    )


def inverse(native: str, kind: str = "SWAP", **fields: Any) -> dict[str, Any]:
    base, quote = native.split("-")[:2]
    values = {"ctType": "inverse", "ctVal": "100", "ctMult": "1", "ctValCcy": quote}
    return row(native, kind, **{"settleCcy": base, "uly": f"{base}-{quote}", **values, **fields})


def option(native: str, **fields: Any) -> dict[str, Any]:
    base, quote, _, strike, kind = native.split("-")
    values = {"ctType": "", "ctVal": "1", "ctMult": "0.01", "ctValCcy": base, "expTime": DECEMBER}
    said = {"stk": strike, "optType": kind, "settleCcy": base, "uly": f"{base}-{quote}"}
    return row(native, "OPTION", **{**values, **said, **fields})


def instruments(rows: Any, market: Market) -> list[Instrument]:
    return read_instruments(rows, market).values


def only(found: dict[str, Any], market: Market) -> Instrument:
    (instrument,) = instruments([found], market)
    return instrument


OPTION = "BTC-USD-261225-100000-C"
UNIFIED = {"uly": "BTC-USD", "instFamily": "BTC-USD_UM", "settleCcy": "USD"}
X_PERP = {**UNIFIED, "ruleType": "xperp"}
IN_2031 = "1933056000000"
KINDS = [
    (Market.SPOT, pair("BTC", "USDT"), "BTC/USDT", "SPOT"),
    (Market.SPOT, pair("ETH", "BTC"), "ETH/BTC", "SPOT"),
    (Market.SPOT, pair("1INCH", "USD"), "1INCH/USD", "SPOT"),
    (Market.LINEAR, linear("BTC-USDT-SWAP"), "BTC/USDT:USDT", "SWAP"),
    (Market.LINEAR, linear("BTC-USDC-SWAP"), "BTC/USDC:USDC", "SWAP"),
    (
        Market.LINEAR,
        linear("BTC-USDT-261225", "FUTURES", expTime=DECEMBER),
        "BTC/USDT:USDT-261225",
        "FUTURES",
    ),
    (
        Market.LINEAR,
        linear("BTC-USD_UM-261225", "FUTURES", expTime=DECEMBER, **UNIFIED),
        "BTC/USD:USD-261225",
        "FUTURES",
    ),
    (
        Market.LINEAR,
        linear("BTC-USD_UM_XPERP-310404", "FUTURES", expTime=IN_2031, **X_PERP),
        "BTC/USD:USD",
        "FUTURES",
    ),
    (Market.INVERSE, inverse("BTC-USD-SWAP"), "BTC/USD:BTC", "SWAP"),
    (
        Market.INVERSE,
        inverse("BTC-USD-261225", "FUTURES", expTime=DECEMBER),
        "BTC/USD:BTC-261225",
        "FUTURES",
    ),
    (Market.OPTION, option(OPTION), "BTC/USD:BTC-261225-100000-C", "OPTION"),
    (
        Market.OPTION,
        option("BTC-USD_UM-261225-100000-C", **UNIFIED),
        "BTC/USD:USD-261225-100000-C",
        "OPTION",
    ),
]


@pytest.mark.parametrize(("market", "found", "symbol", "kind"), KINDS, ids=[k[2] for k in KINDS])
def test_every_kind_of_instrument_has_its_unified_name(
    market: Market, found: dict[str, Any], symbol: str, kind: str
) -> None:
    instrument = only(found, market)
    assert instrument.symbol == symbol
    assert instrument.native == found["instId"]
    assert market_of(symbol) is market
    assert instrument_type(instrument) == kind
    # The guess from the native symbol alone agrees.
    guessed = instrument_of(instrument.native)
    assert guessed is not None
    assert (guessed.symbol, guessed.market) == (symbol, market)
    assert (guessed.expiry_ns, guessed.strike) == (instrument.expiry_ns, instrument.strike)
    # It is in no other market's list.
    for other in set(Market) - {market}:
        assert instruments([found], other) == []


def test_an_option_has_its_strike_and_side() -> None:
    instrument = only(option("BTC-USD-261225-97500.5-P"), Market.OPTION)
    assert (instrument.strike, instrument.option_kind) == (Decimal("97500.5"), OptionKind.PUT)
    assert instrument.expiry_ns == int(DECEMBER) * 1_000_000
    assert instrument.settle == "BTC"


NAMELESS = {
    "instType": "FUTURES", "instId": "", "instIdCode": None, "instFamily": "ADA-USD_UM", "uly": "",
    "state": "preopen", "ctType": "", "ctVal": "", "ctMult": "", "ctValCcy": "", "settleCcy": "",
    "tickSz": "", "lotSz": "", "minSz": "", "maxLmtSz": "", "expTime": "", "baseCcy": "",
    "quoteCcy": "", "alias": "", "optType": "", "stk": "",
}  # fmt: skip


@pytest.mark.parametrize(
    "strange",
    [
        NAMELESS,
        {"instType": "SWAP", "instId": "ADA-USD_UM-SWAP"},
        {"instType": "SWAP"},
        linear("ADA-USDT-SWAP", ctVal=""),
        linear("ADA-USDT-SWAP", uly=None),
        linear("ADA-USDT-SWAP", tickSz="x"),
        linear("ADA-USDT-261225", "FUTURES"),
        None,
        7,
    ],
)
def test_an_unreadable_row_takes_no_other_away(strange: Any) -> None:
    usual = linear("BTC-USDT-SWAP")
    for rows in ([usual, strange], [strange, usual]):
        found = read_instruments(rows, Market.LINEAR)
        assert [each.symbol for each in found.values] == ["BTC/USDT:USDT"]
        assert found.left_out == 1
        assert found.reason


def test_a_list_of_which_nothing_can_be_read_is_an_error_unless_all_is_only_announced() -> None:
    broken = linear("ADA-USDT-SWAP", ctVal="")
    for rows in ([broken], [NAMELESS, broken], [7], [None]):
        with pytest.raises(MALFORMED):
            instruments(rows, Market.LINEAR)
    announced = read_instruments([NAMELESS, NAMELESS], Market.LINEAR)
    assert (announced.values, announced.left_out) == ([], 2)
    assert instruments([], Market.LINEAR) == []


def test_names_are_made_of_the_fields_and_not_of_the_native_symbol() -> None:
    usdt = linear("BTC-USDT-SWAP")
    assert only({**usdt, "instId": "X1"}, Market.LINEAR).symbol == "BTC/USDT:USDT"
    margined = linear("BTC-USD_UM-SWAP", uly="BTC-USD", settleCcy="USDC")
    assert only(margined, Market.LINEAR).symbol == "BTC/USD:USDC"


# --- what a contract is worth ---


@pytest.mark.parametrize(
    ("found", "market", "contract", "lot", "most"),
    [
        (linear("BTC-USDT-SWAP", lotSz="0.01"), Market.LINEAR, "0.01", "0.0001", "1000000"),
        (linear("PEPE-USDT-SWAP", value="10000000"), Market.LINEAR, "10000000", "10000000", None),
        (linear("ETH-USDT-SWAP", value="0.1", ctMult="10"), Market.LINEAR, "1", "1", "100000000"),
        (option(OPTION), Market.OPTION, "0.01", "0.01", "1000000"),
        (inverse("BTC-USD-SWAP"), Market.INVERSE, "100", "1", "100000000"),
        (pair("BTC", "USDT", lotSz="0.00000001"), Market.SPOT, "1", "0.00000001", "100000000"),
    ],
)
def test_rules_are_in_base_units_and_of_inverse_contracts_in_contracts(
    found: dict[str, Any], market: Market, contract: str, lot: str, most: str | None
) -> None:
    instrument = only(found, market)
    assert worth_of(instrument) == Decimal(contract)
    assert instrument.lot_size is not None
    assert f"{instrument.lot_size:f}" == lot
    assert most is None or str(instrument.max_size) == most
    assert str(instrument.tick_size) == "0.1"


@pytest.mark.parametrize(
    ("found", "market"),
    [
        (linear("BTC-USDT-SWAP", ctValCcy="USDT"), Market.LINEAR),
        (linear("BTC-USDT-SWAP", ctValCcy=""), Market.LINEAR),
        (inverse("BTC-USD-SWAP", ctValCcy="BTC"), Market.INVERSE),
        (option(OPTION, ctValCcy="USD"), Market.OPTION),
    ],
)
def test_a_contract_that_is_valued_in_another_currency_is_left_out(
    found: dict[str, Any], market: Market
) -> None:
    assert instruments([found], market) == []


def test_rules_that_are_not_told_are_none() -> None:
    found = pair("NEW", "USDT", tickSz="", lotSz="", minSz="", maxLmtSz="")
    instrument = only(found, Market.SPOT)
    assert instrument.tick_size is instrument.lot_size is instrument.min_size is None
    assert instrument.max_size is None
    # What is but announced has nothing to be traded by, and often no currencies.
    assert instruments([{**found, "state": "preopen", "baseCcy": ""}], Market.SPOT) == []
    soon = {**found, "state": "preopen", "tickSz": "0.1"}
    assert only(soon, Market.SPOT).status is InstrumentStatus.PRELAUNCH


def test_rows_of_2022_have_fewer_fields() -> None:
    names = (
        "alias", "baseCcy", "category", "ctMult", "ctType", "ctVal", "ctValCcy", "expTime",
        "instId", "instType", "lever", "listTime", "lotSz", "minSz", "optType", "quoteCcy",
        "settleCcy", "state", "stk", "tickSz", "uly",
    )  # fmt: skip
    for market, found, symbol, _ in KINDS:
        if found["ruleType"] == "xperp":
            continue  # there were none
        old = only({name: found[name] for name in names}, market)
        assert old == attrs.evolve(only(found, market), max_size=None, native_code=None)
        assert old.symbol == symbol


def test_the_number_of_an_instrument_is_kept_where_the_list_tells_it() -> None:
    market, found, _, _ = KINDS[0]
    assert only({**found, "instIdCode": 4711}, market).native_code == 4711
    for blank in (None, 0, "", "4711", True):
        assert only({**found, "instIdCode": blank}, market).native_code is None


# --- states ---


def test_expired_instruments_are_left_out_and_unknown_states_do_not_trade() -> None:
    states = {
        "live": InstrumentStatus.TRADING,
        "expired": None,
        "preopen": InstrumentStatus.PRELAUNCH,
        "settling": InstrumentStatus.SETTLING,
        "suspend": InstrumentStatus.HALTED,
        "post_only": InstrumentStatus.HALTED,
        "rebase": InstrumentStatus.HALTED,
        "test": InstrumentStatus.HALTED,
        "musing": InstrumentStatus.HALTED,
    }
    rows = [pair(f"C{n}", "USDT", state=s) for n, s in enumerate(states)]
    found = {i.base: i.status for i in instruments(rows, Market.SPOT)}
    assert found == {f"C{n}": status for n, status in enumerate(states.values()) if status}


@pytest.mark.parametrize(
    "fields",
    [
        {"instId": ""}, {"instId": 5}, {"ctVal": "x"}, {"ctVal": ""}, {"ctMult": "NaN"},
        {"settleCcy": 5}, {"uly": 5}, {"uly": "BTC"}, {"tickSz": 0.1}, {"lotSz": "1e99"},
    ],
)  # fmt: skip
def test_malformed_rows_raise_what_a_decoder_expects(fields: dict[str, Any]) -> None:
    with pytest.raises(MALFORMED):
        instruments([{**linear("BTC-USDT-SWAP"), **fields}], Market.LINEAR)


def test_a_name_that_means_another_market_is_refused() -> None:
    # Settled in its base, it would read as inverse.
    odd = linear("USDC-USDT-SWAP", settleCcy="USDC")
    unreadable = linear("A/B-USDT-SWAP")
    unsettled = linear("BTC-USDT-SWAP", settleCcy="")
    assert instruments([odd, unreadable, unsettled], Market.LINEAR) == []


coins = st.sampled_from(["BTC", "ETH", "USDT", "USDC", "1INCH"])


def test_what_is_kept_maps_one_to_one() -> None:
    @given(st.lists(st.tuples(st.text("ABC", min_size=1, max_size=2), coins, coins, coins)))
    def check(given_rows: list[tuple[str, str, str, str]]) -> None:
        rows = [
            {**linear(f"{base}-{quote}-SWAP"), "instId": native, "settleCcy": settle}
            for native, base, quote, settle in given_rows
        ]
        found = instruments(rows, Market.LINEAR)
        assert len({i.symbol for i in found}) == len(found) == len({i.native for i in found})
        assert {i.symbol for i in found} == {i.symbol for i in one_to_one(reversed(found))}

    check()


# --- sizes ---

numbers = st.from_regex(r"(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?", fullmatch=True)
contracts = st.sampled_from(
    ["1", "1.0", "0.1", "0.01", "0.00001", "10", "100", "1000000", "0.3", "7", "12.5", "0.10"]
)
scaled = st.sampled_from([Market.LINEAR, Market.OPTION])


def of(market: Market, contract: str) -> Instrument:
    natives = {
        Market.SPOT: "BTC-USDT",
        Market.LINEAR: "BTC-USDT-SWAP",
        Market.INVERSE: "BTC-USD-SWAP",
        Market.OPTION: OPTION,
    }
    found = instrument_of(natives[market])
    assert found is not None
    return worth(found, contract)


def as_fraction(text: str) -> tuple[int, int]:
    return Decimal(text).as_integer_ratio()


@given(numbers, contracts, st.sampled_from(list(Market)))
def test_sizes_are_exact_products_whatever_the_programs_context(
    text: str, contract: str, market: Market
) -> None:
    with localcontext() as context:
        context.prec = 3
        size = sizes_in(contract_of(of(market, contract)))[text]
    (up, down), (times, over) = as_fraction(text), as_fraction(contract)
    if market in {Market.LINEAR, Market.OPTION}:
        up, down = up * times, down * over
    top, bottom = size.as_integer_ratio()
    assert top * down == bottom * up
    if market in {Market.SPOT, Market.INVERSE}:
        assert f"{size:f}" == text


@given(numbers, numbers)
def test_products_and_their_shortest_spellings_are_exact(one: str, other: str) -> None:
    exact = product(Decimal(one), Decimal(other))
    (a, b), (c, d) = as_fraction(one), as_fraction(other)
    top, bottom = exact.as_integer_ratio()
    assert top * b * d == bottom * a * c
    short = shortest(exact)
    assert short == exact
    text = str(short)
    assert "E" not in text or abs(exact) < Decimal("1e-6")
    assert not ("." in text and text.endswith("0"))


def test_what_is_no_size_is_none_of_a_contract_either() -> None:
    sizes: Any = sizes_in(contract_of(of(Market.LINEAR, "0.01")))
    strange: list[Any] = [1, 1.5, None, b"1"]
    for wrong in ("", "x", "NaN", "Infinity", "1e70", "1e-70"):
        with pytest.raises((ValueError, ArithmeticError)):
            sizes[wrong]
    for wrong in strange:
        with pytest.raises(TypeError):
            sizes[wrong]
    for number in range(10_000):
        assert sizes[f"{number}.5"] == Decimal(number * 10 + 5).scaleb(-3), "the cache is bounded"
    assert len(sizes) <= 4096


# --- checksums ---


@st.composite
def sides(draw: st.DrawFn, prices: st.SearchStrategy[int]) -> list[list[str]]:
    """Levels in cents with odd spellings of sizes, unordered."""
    found = draw(st.lists(prices, unique=True, max_size=40))
    size = st.from_regex(
        r"[1-9][0-9]{0,9}(\.[0-9]{1,8})?|0\.0{0,7}[1-9][0-9]{0,3}0{0,2}", fullmatch=True
    )
    return [[f"{Decimal(cents).scaleb(-2):f}", draw(size), "0", "1"] for cents in found]


def wires_sum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """The checksum of the best 25 levels in the words of the wire, signed."""
    bids = sorted(bids, key=lambda level: -Decimal(level[0]))[:25]
    asks = sorted(asks, key=lambda level: Decimal(level[0]))[:25]
    words = []
    for place in range(25):
        words += [":".join(side[place][:2]) for side in (bids, asks) if place < len(side)]
    return int.from_bytes(zlib.crc32(":".join(words).encode()).to_bytes(4, "big"), signed=True)


@given(
    sides(st.integers(1, 99_999)),
    sides(st.integers(100_000, 10**9)),
    sides(st.integers(1, 99_999)),
    st.sampled_from([Market.SPOT, Market.INVERSE, Market.LINEAR, Market.OPTION]),
    contracts,
    st.integers(-3, 3),
)
@example([["1", "5.0", "0", "1"]], [], [], Market.LINEAR, "1.0", 0)
@example([["1", "50", "0", "1"]], [], [], Market.LINEAR, "10", 0)
def test_a_checksum_over_converted_sizes_is_that_of_the_wires_words(
    bids: list[list[str]],
    asks: list[list[str]],
    more: list[list[str]],
    market: Market,
    contract: str,
    error: int,
) -> None:
    instrument = of(market, contract)
    subscription = Subscription(Channel.BOOK, instrument, depth=400)
    codec = OkxCodec()
    codec.subscribe([subscription], "1")
    book = OrderBook(instrument.symbol, depth=400, checksum=Okx().checksum(subscription))
    arg = {"channel": "books", "instId": instrument.native}
    known = {level[0]: level for level in bids} | {level[0]: level for level in more}
    states = [
        ("snapshot", -1, 5, bids, bids, asks, 0),
        ("update", 5, 6, more, [*known.values()], [], error),
    ]
    for action, before, number, new, whole, new_asks, wrong in states:
        total = wires_sum(whole, asks)
        change = {"asks": new_asks, "bids": new, "ts": "1794000000000", "checksum": total + wrong}
        data = [{**change, "prevSeqId": before, "seqId": number}]
        frame = json.dumps({"arg": arg, "action": action, "data": data}).encode()
        (message,) = codec.decode(frame, 7)
        assert isinstance(message, Data)
        (update,) = message.events
        assert isinstance(update, BookUpdate)
        sound = total + wrong in {0, total}
        assert book.apply(update) is (Applied.APPLIED if sound else Applied.BROKEN)
    assert book.valid is sound
