"""The live table: it fits, and says what matters."""

from __future__ import annotations

import io
import time
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from ccrs_core import (
    BookUpdate,
    Channel,
    ConnectionStatus,
    FeedStatus,
    Histogram,
    LatencySummary,
    LinkState,
    Market,
    OrderBook,
    Policy,
    TopOfBook,
)
from ccrs_core.cli import form
from ccrs_core.cli.live import text as plain
from ccrs_core.cli.live.figures import Board
from ccrs_core.cli.live.view import draw
from ccrs_core.client.status import ClientStatus
from ccrs_core.model.events import Gap, Reason, Stale

Feeds = tuple[FeedStatus, ...]
NOW = 1_767_225_600_000_000_000


def _top(symbol: str, bid: str, ask: str, latency_ns: int = 1_000_000) -> TopOfBook:
    sizes = Decimal("0.123456789"), Decimal("98765.4321")
    return TopOfBook(
        "toy", symbol, NOW - latency_ns, NOW, 7, Decimal(bid), sizes[0], Decimal(ask), sizes[1]
    )


def _feed(latency: LatencySummary | None) -> FeedStatus:
    return FeedStatus(
        policy=Policy.DROP_OLDEST,
        maxsize=10,
        waiting=0,
        offered=1,
        delivered=1,
        conflated=0,
        dropped=0,
        discarded=0,
        error=None,
        latency=latency,
    )


def _status(count: int, *feeds: FeedStatus, late: int = 1) -> ClientStatus:
    links = tuple(
        ConnectionStatus(
            number=n,
            url="wss://toy",
            way=None,
            markets=(Market.SPOT,) if n % 2 else (Market.LINEAR,),
            state=LinkState.OPEN if n % 4 else LinkState.WAITING,
            epoch=n,
            topics=1,
            connects=1,
            failures=0,
            last_error="connection reset by peer, somewhere far away" if n % 4 == 0 else None,
            connected_at_ns=1,
            last_received_ns=1,
            frames=123_456,
            data=1,
            late=late,
            control=1,
            unrecognised=0,
            unwanted=0,
            superseded=0,
            unreadable=0,
            retired=0,
            rows_left_out=0,
            wins=1000 * n,
            repeats=0,
            mean_ahead=0.0004 if late else None,
            mean_behind=0.0012 if late else None,
        )
        for n in range(1, count + 1)
    )
    return ClientStatus(
        exchange="toy",
        environment="mainnet",
        connections=links,
        subscriptions=(),
        feeds=feeds,
        rollovers=0,
        resubscriptions=0,
        reconnects=2,
        requests=0,
        request_errors=0,
        rows_left_out=0,
        host_paused=0.0,
        found_dead=0,
        address_changes=0,
    )


def _text(
    board: Board, width: int, connections: int = 3, height: int = 40, feeds: Feeds = ()
) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(
        draw(board, _status(connections, *feeds), title="toy", width=width, height=height, levels=5)
    )
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


SYMBOLS = {
    "BTC/USDT": ("104250.5", "104250.6"),
    "ETH/USDT:USDT": ("3921.33", "3921.34"),
    "1000PEPE/USDT:USDT": ("0.0123450", "0.0123451"),
}


def _tops(count: int) -> Board:
    board = Board()
    for symbol, (bid, ask) in list(SYMBOLS.items())[:count]:
        board.take([(_top(symbol, bid, ask), None)])
    for number in range(count - len(SYMBOLS)):
        board.take([(_top(f"COIN{number}/USDT", "1.5", "1.6"), None)])
    return board


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_everything_fits_and_no_number_is_cut(width: int) -> None:
    text = _text(_tops(3), width)
    assert max(map(len, text.splitlines())) <= width
    for number in ("104250.5", "104250.6", "3921.34", "0.0123450", "1.0", "2,000"):
        assert number in text
    for head in ("bid size", "bps", "p50 ms", "p99 ms", "wins", "ahead", "400 µs", "0 gaps"):
        assert head in text


@given(
    st.integers(56, 150), st.integers(20, 60), st.integers(1, 45), st.integers(1, 15), st.booleans()
)
@settings(deadline=None, max_examples=60)
@example(60, 24, 40, 5, True)
@example(80, 24, 40, 10, True)
@example(120, 50, 40, 10, False)
def test_whatever_the_terminals_size_a_figure_is_whole_or_its_column_is_not_there(
    width: int, height: int, symbols: int, connections: int, racing: bool
) -> None:
    board, status = _tops(symbols), _status(connections, late=int(racing))
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(draw(board, status, title="toy", width=width, height=height, levels=5))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    figures = {"104250.5", "104250.6", "3921.33", "3921.34", "0.0123450", "0.0123451", "1.5", "1.6"}
    table = lines[3 : 3 + min(symbols, 3)]
    for line in table:
        cells = [
            cell for cell in line.strip("│ ").split() if cell[:1].isdigit() and "/" not in cell
        ]
        prices = figures & set(cells)
        assert len(prices) == 2, line
        assert "…" not in line.partition("/")[2].partition(" ")[2], line


@given(
    st.integers(60, 150),
    st.lists(
        st.sampled_from(["261225-100000-C", "261225-100000-P", "261225-105000-C", "270129-9000-P"]),
        min_size=2,
        unique=True,
    ),
)
@settings(deadline=None, max_examples=30)
def test_symbols_that_begin_alike_are_told_apart_at_any_width(width: int, kinds: list[str]) -> None:
    board = Board()
    for kind in kinds:
        board.take([(_top(f"BTC/USDT:USDT-{kind}", "1250.5", "1251.5"), None)])
    lines = [line for line in _text(board, width, connections=1).splitlines() if "BTC/" in line]
    assert len({line.strip("│ ▲▼·").split()[0] for line in lines}) == len(kinds)
    assert all("1250.5" in line and "1251.5" in line for line in lines)


def test_as_many_symbols_are_shown_as_there_are_lines_for() -> None:
    for height in (24, 30, 50):
        lines = _text(_tops(40), 100, connections=1, height=height).splitlines()
        shown = sum("/USDT" in line for line in lines)
        assert any(f"… and {40 - shown} more" in line for line in lines) or shown == 40
        assert len(lines) >= min(height - 1, 48)


def test_without_anybody_to_race_nobody_wins() -> None:
    console = Console(file=io.StringIO(), width=100, height=40)
    console.print(draw(_tops(1), _status(1, late=0), title="toy", width=100, height=40))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "frames" in text
    assert "wins" not in text


def test_connections_of_several_markets_say_which_and_win_among_themselves() -> None:
    text = _text(_tops(1), 120, connections=4)
    rows = [line for line in text.splitlines() if " open" in line or " waiting" in line]
    assert [word for row in rows for word in row.split() if word in {"spot", "linear"}] == [
        "spot",
        "linear",
        "spot",
        "linear",
    ]
    shares = [word for row in rows for word in row.split() if word.endswith("%")]
    assert shares == ["25%", "33%", "75%", "67%"]


def test_what_others_say_is_shown_without_obeying_it() -> None:
    assert form.printable("bye\x1b[2J\x07\r\nnow\u202e!") == "bye [2J   now !"


def test_points_stand_below_points() -> None:
    values = [Decimal("9.5"), Decimal(10), Decimal("123.125")]
    assert form.aligned(values) == ["  9.500", " 10.000", "123.125"]
    assert form.aligned(values, 5) == ["  9.5", " 10.0", "123.1"]
    assert form.aligned([]) == []


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (60, "p50 44.0 µs p99 999 µs max 12.0 s"),
        (80, "p50 44.0 µs p90 999 µs p99 999 µs max 12.0 s"),
        (120, "p50 44.0 µs p90 999 µs p99 999 µs p99.9 12.0 s max 12.0 s 501 samples"),
    ],
)
def test_latency_within_the_process_is_a_line_of_what_fits(width: int, shown: str) -> None:
    measured = Histogram()
    measured.record(43_900, 300)
    measured.record(999_000, 200)
    measured.record(12_000_000_000)
    text = _text(Board(), width, feeds=(_feed(measured.summary()),))
    assert f"socket to here {shown} │" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width


def test_before_anything_was_measured_there_is_no_line_for_it() -> None:
    assert "socket" not in _text(Board(), 100, feeds=(_feed(None),))
    assert _text(Board(), 100, feeds=(_feed(None),)) == _text(Board(), 100)


def test_trouble_is_in_sight() -> None:
    board = Board()
    board.take([(_top("BTC/USDT", "1.5", "1.6"), None)])
    gap = Gap("toy", "BTC/USDT", NOW, NOW, Channel.TOP_OF_BOOK, Reason.RECONNECTED, 7, 9, None)
    stale = Stale("toy", "BTC/USDT", NOW, NOW, Channel.TOP_OF_BOOK, Reason.DISCONNECTED, None)
    board.take([(gap, None), (stale, None)])
    text = _text(board, 100, connections=13)
    for word in ("1 gap ", "1 stale", "2 reconnects", "reconnected", "7 → 9", "… and 4 more"):
        assert word in text
    assert "✕" in text
    assert "STALE" in "".join(plain.lines(board))


def test_a_clock_that_is_behind_is_told_of() -> None:
    board = Board()
    board.take([(_top("BTC/USDT", "1.5", "1.6", latency_ns=-5_000_000), None)])
    assert "clock is at least 5.0 ms ahead" in _text(board, 100)


def test_a_book_is_a_ladder_while_it_is_valid() -> None:
    board, book = Board(), OrderBook("BTC/USDT", depth=50)
    levels = tuple((Decimal(f"{100 - i}.50"), Decimal(i + 1)) for i in range(20))
    asks = tuple((Decimal(f"{101 + i}.50"), Decimal(i + 1)) for i in range(20))
    update = BookUpdate("toy", "BTC/USDT", NOW, NOW, 77, True, levels, asks)
    book.apply(update)
    board.take([(update, book)])
    text = _text(board, 80)
    for word in ("sequence 77", "20/20 levels", "100.50", "96.50", "105.50", "█"):
        assert word in text
    assert "95.50" not in text
    book.invalidate(Reason.SEQUENCE)
    text = _text(board, 80)
    assert "the book is invalid" in text
    assert "100.50" not in text


def test_a_lively_feed_shows_its_rate() -> None:
    board = Board()
    row = board.expect("BTC/USDT", Channel.TOP_OF_BOOK)
    row.started_at = time.monotonic() - 100
    board.take([(_top("BTC/USDT", "1.5", "1.6"), None)] * 500)
    assert row.rate(time.monotonic()) == pytest.approx(100, rel=0.2)


@given(st.decimals(0, 10**12, allow_nan=False), st.integers(5, 12))
def test_sizes_are_short(value: Decimal, width: int) -> None:
    assert len(form.size(value, width)) <= max(width, 8) + 2


@given(st.floats(0, 1), st.integers(1, 40))
def test_bars_keep_to_their_width(share: float, width: int) -> None:
    assert len(form.bar(share, width)) <= width
    assert len(form.bar(share, width, mirrored=True)) <= width
