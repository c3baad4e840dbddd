"""``ccrs watch`` over several exchanges: what it shows, and what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import signal
import struct
import termios
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ccrs_core import (
    AnyEvent,
    BookUpdate,
    Channel,
    Gap,
    InstrumentChanged,
    Interest,
    MergedFeed,
    OrderBook,
    Reason,
    Resumed,
    Side,
    Stale,
    TopOfBook,
    Trade,
    UsageError,
)
from ccrs_core.cli import options
from ccrs_core.cli.live import text as plain
from ccrs_core.cli.live.several import Boards
from ccrs_core.cli.live.several_view import draw
from ccrs_core.client.status import ClientStatus
from tests.cli.conftest import SECONDS, Command

EMULATOR = ("--environment", "emulator", "--rate", "200")
BOTH = ("bybit:BTC/USDT", "kraken:BTC/USD")
TOP = Channel.TOP_OF_BOOK
MS = 1_000_000


# --- the table ----------------------------------------------------------------------------------


class Owner:
    """Nobody's client; its books are those of the test."""

    def __init__(self) -> None:
        self.books: dict[str, OrderBook] = {}

    async def start(self, feed: Any, interests: Sequence[Interest]) -> None: ...
    async def stop(self, feed: Any, interests: Sequence[Interest]) -> None: ...
    async def ready(self, feed: Any, everywhere: bool) -> None: ...
    def goes_without(self, feed: Any, refused: Any) -> bool:
        return False

    def overflowed(self, feed: Any, lost: int) -> None: ...

    def subscribed(self, feed: Any) -> tuple[Interest, ...]:
        return tuple(feed.interests)

    def missing(self, feed: Any) -> dict[str, str]:
        return {}

    def book(self, feed: Any, symbol: str, depth: int | None) -> OrderBook:
        return self.books[symbol]

    def qualify(self, interests: Any) -> list[Interest]:
        return list(interests)


def boards(*symbols: str, channel: Channel = TOP, owner: Owner | None = None) -> Boards:
    feed = MergedFeed(owner or Owner(), [Interest(channel, symbol) for symbol in symbols])
    return Boards(feed)


def quote(exchange: str, symbol: str, bid: object, ask: object, ago_ns: int = 0) -> TopOfBook:
    at, size = time.time_ns() - ago_ns, Decimal("12345.678901")
    prices = [Decimal(str(price)) for price in (bid, ask)]
    return TopOfBook(exchange, symbol, at - MS, at, 7, prices[0], size, prices[1], size)


def stale(exchange: str, symbol: str) -> Stale:
    return Stale(exchange, symbol, None, time.time_ns(), TOP, Reason.DISCONNECTED)


def status(exchange: str) -> ClientStatus:
    none: tuple[()] = ()
    return ClientStatus(
        exchange=exchange,
        environment="toy",
        connections=none,
        subscriptions=none,
        feeds=none,
        rollovers=0,
        resubscriptions=0,
        reconnects=1,
        requests=0,
        request_errors=0,
        rows_left_out=0,
        host_paused=0.0,
        found_dead=0,
        address_changes=0,
    )


def text(shown: Boards, width: int = 120, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    statuses = [status(exchange) for exchange in shown.boards]
    console.print(draw(shown, statuses, title="toys", width=width, height=height, levels=3))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def line(shown: str, start: str) -> str:
    """The line of the table that begins with this."""
    (found,) = [x for x in shown.splitlines() if x.removeprefix("│ ").startswith(start)]
    return " ".join(found.strip("│ ").split())


def test_the_table_tells_the_best_prices_of_each_symbol_and_whose_they_are() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD", "bee:ETH/USD")
    shown.take(
        [
            quote("ant", "BTC/USD", "100.5", "100.8"),
            quote("bee", "BTC/USD", "100.4", "100.6"),
            quote("bee", "ETH/USD", "7.1", "7.2"),
        ]
    )
    found = text(shown)
    assert line(found, "BTC/USD").startswith("BTC/USD 12345.6789 100.5 100.6 12345.6789 0.1 9.95")
    assert line(found, "  ant").startswith("ant 12345.6789 100.5◆ 100.8 12345.6789 0.3 29.81")
    assert line(found, "  bee").startswith("bee 12345.6789 100.4 100.6◆ 12345.6789 0.2 19.90")
    assert line(found, "ETH/USD bee").startswith("ETH/USD bee 12345.6789 7.1 7.2")
    assert line(found, "  ant").endswith(" fresh")
    assert "◆" not in line(found, "ETH/USD bee")


def test_prices_of_a_symbol_have_the_same_number_of_digits_wherever_they_come_from() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD")
    shown.take(
        [quote("ant", "BTC/USD", "1E+2", "100.4"), quote("bee", "BTC/USD", "99.25000", "101")]
    )
    found = text(shown)
    assert line(found, "  ant").startswith("ant 12345.6789 100.00◆ 100.40◆ ")
    assert line(found, "  bee").startswith("bee 12345.6789 99.25 101.00 ")
    shown.take([quote("bee", "BTC/USD", "99.3", "101")])
    assert " 99.30 101.00 " in line(text(shown), "  bee")


def test_crossed_and_locked_markets_are_in_sight() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD")
    shown.take([quote("ant", "BTC/USD", "100.5", "100.8"), quote("bee", "BTC/USD", "101", "102")])
    assert line(text(shown), "BTC/USD").endswith("-0.2 -19.82 CROSSED")
    assert "spread -0.2 (-19.82 bps)  CROSSED" in plain.best_line(shown.best["BTC/USD"])
    shown.take([quote("bee", "BTC/USD", "100.8", "102")])
    assert line(text(shown), "BTC/USD").endswith(" LOCKED")
    assert plain.best_line(shown.best["BTC/USD"]).endswith("  LOCKED")


def test_an_interrupted_exchange_is_left_out_and_said_so() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD", "cow:BTC/USD")
    shown.take(
        [
            quote("ant", "BTC/USD", "100.5", "100.8"),
            quote("bee", "BTC/USD", "100.6", "100.7"),
            stale("bee", "BTC/USD"),
        ]
    )
    found = text(shown)
    assert line(found, "BTC/USD").startswith("BTC/USD 12345.6789 100.5 100.8")
    assert line(found, "  bee").endswith(" stale disconnected")
    assert line(found, "  cow").endswith(" waiting")
    assert "1 stale" in found
    assert "bee:BTC/USD top_of_book (disconnected)" in found
    assert plain.best_line(shown.best["BTC/USD"]).endswith("  without bee, cow")
    assert "ant:BTC/USD" in next(plain.lines(shown.boards["ant"], "ant"))


def test_who_moves_first_is_told_with_by_how_much() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD")
    for n in range(12):
        ago = (20 - n) * 100 * MS
        first = quote("ant", "BTC/USD", 100 + n, 101 + n, ago)
        shown.take(
            [
                first,
                attrs.evolve(
                    first, exchange="bee", received_time_ns=first.received_time_ns + 4 * MS
                ),
            ]
        )
        if n == 8:  # of few samples it would look like a fact
            assert "ms" not in line(text(shown), "  bee")
            assert "%" not in line(text(shown), "  ant")
    found = text(shown)
    assert " +4.00 ms 100% " in line(found, "  ant")
    assert " -4.00 ms 0% " in line(found, "  bee")
    told = plain.best_line(shown.best["BTC/USD"])
    assert "ant lead +4.00 ms (10 samples)  bee lead -4.00 ms (10 samples)" in told


@pytest.mark.parametrize("width", [70, 80, 100, 120, 140])
def test_everything_fits_and_no_price_is_cut(width: int) -> None:
    names = ("ant", "binary-ant", "cow")
    shown = boards(*(f"{name}:1000PEPE/USDT:USDT" for name in names), "cow:BTC/USD")
    shown.take([quote(name, "1000PEPE/USDT:USDT", "0.0123450", "0.0123451") for name in names])
    shown.take([quote("cow", "BTC/USD", "104250.55", "104250.65"), stale("cow", "BTC/USD")])
    found = text(shown, width)
    assert max(map(len, found.splitlines())) <= width
    for word in ("0.0123450", "0.0123451", "104250.55", "104250.65", "fresh", "stale", "age"):
        assert word in found


def test_a_change_of_an_instrument_is_a_notice_like_others() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD")
    shown.take([InstrumentChanged("bee", "BTC/USD", None, time.time_ns(), None, None)])
    assert "changed bee:BTC/USD is no longer listed" in text(shown)


def test_more_symbols_than_there_is_room_for_are_counted() -> None:
    shown = boards(*(f"{name}:S{n}/USD" for n in range(20) for name in ("ant", "bee")))
    found = text(shown, height=24)
    assert len(found.splitlines()) <= 26
    assert "more" in found


def test_other_channels_carry_the_exchange_before_their_symbols() -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD", channel=Channel.TRADES)
    one = Decimal(1)
    for n, name in enumerate(("ant", "bee", "ant")):
        shown.take([Trade(name, "BTC/USD", n, n, None, str(n), one + n, one, Side.BUY)])
    found = text(shown)
    assert "ant:BTC/USD" in found
    assert "bee:BTC/USD buy" in found
    assert not shown.best
    assert [each.price for each in shown.as_one().tape] == [1, 2, 3]


def test_books_of_one_symbol_at_two_exchanges_are_kept_apart() -> None:
    owner = Owner()
    for name in ("ant", "bee"):
        owner.books[f"{name}:BTC/USD"] = OrderBook("BTC/USD", depth=10)
    shown = boards("ant:BTC/USD", "bee:BTC/USD", channel=Channel.BOOK, owner=owner)
    levels = {"ant": ("100", "101"), "bee": ("200", "201")}
    one = Decimal(1)
    updates: list[AnyEvent] = [
        BookUpdate(name, "BTC/USD", 1, 1, 5, True, ((Decimal(bid), one),), ((Decimal(ask), one),))
        for name, (bid, ask) in levels.items()
    ]
    shown.take(updates)
    shown.take([Gap("ant", "BTC/USD", 1, 1, Channel.BOOK, Reason.SEQUENCE)])
    shown.take([Resumed("ant", "BTC/USD", 1, 1, Channel.BOOK)])
    found = text(shown, 140)
    for word in ("ant:BTC/USD", "bee:BTC/USD", "100", "201", "1 gap "):
        assert word in found


@given(st.lists(st.tuples(st.sampled_from(["ant", "bee"]), st.integers(1, 9)), max_size=12))
def test_figures_are_each_exchange_s_own(story: list[tuple[str, int]]) -> None:
    shown = boards("ant:BTC/USD", "bee:BTC/USD")
    shown.take([quote(name, "BTC/USD", price, price + 1) for name, price in story])
    for name in ("ant", "bee"):
        own = [price for each, price in story if each == name]
        row = shown.row(name, "BTC/USD")
        assert row.events == len(own)
        assert shown.boards[name].events == len(own)
        assert row.quote()[0] == (own[-1] if own else None)


# --- the command --------------------------------------------------------------------------------


def _lines(out: bytes) -> list[dict[str, Any]]:
    assert not out or out.endswith(b"\n")
    return [json.loads(line) for line in out.splitlines()]


def test_one_stream_of_json_has_all_exchanges_events(ccrs: Command) -> None:
    done = ccrs("watch", *BOTH, *EMULATOR, "--count", "200", "--json", "--status")
    assert (done.returncode, done.stderr) == (0, b"")
    *events, first, second = _lines(done.stdout)
    assert len(events) == 200
    assert {(event["exchange"], event["symbol"]) for event in events} == {
        ("bybit", "BTC/USDT"),
        ("kraken", "BTC/USD"),
    }
    assert [(s["type"], s["exchange"]) for s in (first, second)] == [
        ("status", "bybit"),
        ("status", "kraken"),
    ]
    assert first["feeds"] == second["feeds"]
    assert first["feeds"][0]["delivered"] >= 200
    sequences = [event["sequence"] for event in events if event["exchange"] == "bybit"]
    assert sequences == sorted(set(sequences))


def test_three_exchanges_quote_one_symbol_in_one_stream(ccrs: Command) -> None:
    names = {"bybit", "binance", "okx"}
    done = ccrs(
        "watch",
        *(f"{name}:BTC/USDT" for name in names),
        *("--environment", "emulator", "--count", "60", "--json"),
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["exchange"] for event in events} == names
    assert {event["symbol"] for event in events} == {"BTC/USDT"}


def test_books_of_several_exchanges_are_as_they_stand_after_each_update(ccrs: Command) -> None:
    done = ccrs(
        *("watch", *BOTH, *EMULATOR, "--channel", "book", "--levels", "2"),
        *("--seconds", "2", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    events = _lines(done.stdout)
    assert {event["exchange"] for event in events} == {"bybit", "kraken"}
    for event in events:
        assert event["state"] == "valid"
        assert len(event["bids"]) == len(event["asks"]) == 2
        assert float(event["bid_price"]) < float(event["ask_price"])


def test_without_a_terminal_lines_name_their_exchange(ccrs: Command) -> None:
    done = ccrs("watch", *BOTH, *EMULATOR, "--seconds", "1.5")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    assert b"bybit:BTC/USDT top-of-book bid " in done.stdout
    assert b"kraken:BTC/USD top-of-book bid " in done.stdout
    assert done.stdout.count(b"socket to here") == 1


def test_an_exchange_in_front_of_one_symbol_is_that_exchange(ccrs: Command) -> None:
    done = ccrs("watch", "bybit:BTC/USDT:USDT", *EMULATOR, "--count", "3", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert {event["symbol"] for event in _lines(done.stdout)} == {"BTC/USDT:USDT"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("bybit:BTC/USDT", "ETH/USDT"), b"whose ETH/USDT? Say bybit:ETH/USDT"),
        (("bybit:BTC/USDT", "kraken:BTC/USDT"), b"kraken lists no spot instrument BTC/USDT"),
        (("bybit:BTC/USDT", "krakn:BTC/USDT"), b"did you mean kraken?"),
        (("bybit:BTC/USDT", "kraken:BTC/USD", "--connections", "2"), b"connections must be 1"),
        (("bybit:BTC/USDT", "--base-url", "http://127.0.0.1:1"), b"address of one exchange"),
        (("bybit",), b"Missing argument 'SYMBOL...'"),
        (("bybit", "bybit:BTC/USDT"), b"each with its own: bybit:BTC/USDT"),
    ],
)
def test_a_wrong_call_is_one_line(ccrs: Command, wrong: tuple[str, ...], said: bytes) -> None:
    done = ccrs("watch", *wrong, "--environment", "emulator")
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_rate_of_nothing_is_refused() -> None:
    names = ("base_url", "proxy", "proxy_from_env", "ca_file", "transport")
    where = {"ways": (), **dict.fromkeys(names)}
    with pytest.raises(UsageError, match="--rate must be above zero"):
        options.clients(["bybit"], environment="emulator", seed=0, rate=0.0, **where)


def test_on_a_terminal_it_is_one_table(ccrs: Command) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    del ccrs.environment["COLUMNS"]
    arguments = ("watch", *BOTH, *EMULATOR)
    try:
        with ccrs.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown, until = b"", time.monotonic() + SECONDS
            while shown.count(b"fresh") < 4 or b"kraken 1" not in shown:
                assert time.monotonic() < until
                shown += os.read(ours, 65_536)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # the terminal is gone with its last user
                while more := os.read(ours, 65_536):
                    shown += more
            process.wait(SECONDS)
        assert process.returncode == 130
        found = shown.decode()
        for word in ("bybit, kraken", "BTC/USDT", "BTC/USD", "lead", "age", "socket to here"):
            assert word in found
        assert "\x1b[?25h" in found[-200:]  # the cursor is back
    finally:
        os.close(ours)
