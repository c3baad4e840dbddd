"""``ccrs watch``, against the emulator."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import time
from typing import Any

import pytest

from tests.cli.conftest import SECONDS, Command

EMULATOR = ("--environment", "emulator", "--rate", "300")


def _lines(out: bytes) -> list[dict[str, Any]]:
    assert not out or out.endswith(b"\n")
    return [json.loads(line) for line in out.splitlines()]


def test_every_update_comes_once_and_in_order_over_racing_connections(ccrs: Command) -> None:
    done = ccrs(
        "watch", "bybit", "BTC/USDT", *EMULATOR, "--connections", "5", "--count", "200", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    events = _lines(done.stdout)
    assert len(events) == 200
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(set(sequences))
    for event in events:
        assert (event["type"], event["exchange"], event["symbol"]) == (
            "top_of_book",
            "bybit",
            "BTC/USDT",
        )
        assert event["received_time_ns"] > event["exchange_time_ns"] - 10**10
        for name in ("bid_price", "bid_size", "ask_price", "ask_size"):
            assert isinstance(event[name], str)
        assert float(event["bid_price"]) < float(event["ask_price"])


def test_dropped_connections_cost_a_race_nothing(ccrs: Command) -> None:
    faulty = ccrs.start(
        "emulator", "bybit", "--rate", "300", "--fault", "drop,every=0.2,target=random"
    )
    with faulty as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            done = ccrs(
                *("watch", "bybit", "BTC/USDT", "--base-url", url, "--connections", "5"),
                *("--seconds", "3", "--json"),
            )
        finally:
            process.terminate()
    assert done.returncode == 0, done.stderr
    sequences = [e["sequence"] for e in _lines(done.stdout) if "sequence" in e]
    assert len(sequences) > 100
    assert sequences == sorted(set(sequences))


def test_a_book_line_shows_the_book_after_the_update(ccrs: Command, emulator: str) -> None:
    done = ccrs(
        *("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--channel", "book"),
        *("--count", "25", "--levels", "5", "--depth", "200", "--json"),
    )
    assert done.returncode == 0, done.stderr
    events = _lines(done.stdout)
    assert [event["snapshot"] for event in events] == [True] + [False] * 24
    first = events[0]["sequence"]
    assert [event["sequence"] for event in events] == list(range(first, first + 25))
    for event in events:
        assert event["state"] == "valid"
        bids, asks = event["bids"], event["asks"]
        assert len(bids) == len(asks) == 5
        assert bids[0] == [event["bid_price"], event["bid_size"]]
        assert asks[0] == [event["ask_price"], event["ask_size"]]
        prices = [float(price) for price, _ in [*reversed(asks), *bids]]
        assert prices == sorted(set(prices), reverse=True)


@pytest.mark.parametrize(
    ("channel", "symbol", "fields"),
    [
        ("trades", "BTC/USDT", {"trade_id", "price", "size", "side"}),
        ("ticker", "BTC/USDT:USDT", {"last_price", "mark_price"}),
        ("candles", "BTC/USDT", {"open", "close", "closed", "interval"}),
        ("funding", "BTC/USDT:USDT", {"rate", "funding_time_ns"}),
        ("mark-price", "BTC/USDT:USDT", {"mark_price", "index_price"}),
    ],
)
def test_every_channel_can_be_watched(
    ccrs: Command, emulator: str, channel: str, symbol: str, fields: set[str]
) -> None:
    done = ccrs(
        *("watch", "bybit", symbol, "--base-url", emulator, "--channel", channel),
        *("--count", "1", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (event,) = _lines(done.stdout)
    assert fields <= event.keys()


def test_without_a_terminal_it_is_plain_text(ccrs: Command, emulator: str) -> None:
    done = ccrs("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--seconds", "1.5")
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout
    assert b"BTC/USDT top-of-book bid " in done.stdout
    assert b"bps" in done.stdout


def test_an_unreachable_stream_is_said_at_the_end(ccrs: Command) -> None:
    with ccrs.start("emulator", "bybit", "--fault", "refuse,status=403") as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            done = ccrs("watch", "bybit", "BTC/USDT", "--base-url", url, "--seconds", "1", "--json")
        finally:
            process.terminate()
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"403" in done.stderr


# --- Latency --------------------------------------------------------------------------------


def test_with_status_the_last_object_tells_of_counters_and_latency(
    ccrs: Command, emulator: str
) -> None:
    arguments = ("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--connections", "2")
    done = ccrs(*arguments, "--count", "50", "--json", "--status")
    assert done.returncode == 0, done.stderr
    *events, status = _lines(done.stdout)
    assert {event["type"] for event in events} == {"top_of_book"}
    assert len(events) == 50
    assert (status["type"], status["exchange"]) == ("status", "bybit")
    assert len(status["connections"]) == 2
    assert sum(link["wins"] for link in status["connections"]) >= 50
    (feed,) = status["feeds"]
    latency = feed["latency"]
    assert 1 <= latency["count"] <= feed["delivered"]
    order = [latency[f"{name}_ns"] for name in ("min", "p50", "p90", "p99", "p999", "max")]
    assert order == sorted(order)
    assert 0 <= order[0] <= order[-1] < SECONDS * 10**9


def test_interrupted_it_still_says_the_status(ccrs: Command, emulator: str) -> None:
    arguments = ("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--json", "--status")
    with ccrs.start(*arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert _interrupted(process) < 2.0
        out, err = process.communicate()
    assert (process.returncode, err.strip()) == (130, b"")
    assert _lines(out)[-1]["type"] == "status"


def test_the_last_line_of_plain_text_is_the_latency(ccrs: Command, emulator: str) -> None:
    done = ccrs("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--count", "20")
    assert done.returncode == 0, done.stderr
    last = done.stdout.decode().splitlines()[-1]
    assert last.startswith("socket to here  p50 ")
    assert all(word in last for word in (" p99 ", " max ", " sample"))


def test_a_busy_loop_brings_the_same(ccrs: Command, emulator: str) -> None:
    arguments = ("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--connections", "3")
    done = ccrs(*arguments, "--count", "100", "--json", "--busy")
    assert (done.returncode, done.stderr) == (0, b"")
    sequences = [event["sequence"] for event in _lines(done.stdout)]
    assert len(sequences) == 100
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--busy", "--loop", "uvloop"), b"--busy is for asyncio's loop"),
        (("--status",), b"--status goes with --json"),
        (("--loop", "trio"), b"'trio' is not one of"),
    ],
)
def test_options_that_contradict_each_other_are_a_wrong_call(
    ccrs: Command, wrong: tuple[str, ...], said: bytes
) -> None:
    done = ccrs("watch", "bybit", "BTC/USDT", "--environment", "emulator", *wrong)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


# --- Ends -----------------------------------------------------------------------------------


def _interrupted(process: subprocess.Popen[bytes]) -> float:
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.wait(SECONDS)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "more", [["--json"], [], ["--json", "--connections", "10"], ["--json", "--busy"]]
)
def test_ctrl_c_ends_at_once_with_130(ccrs: Command, emulator: str, more: list[str]) -> None:
    with ccrs.start("watch", "bybit", "BTC/USDT", "--base-url", emulator, *more) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        took = _interrupted(process)
        out, err = process.communicate()
    assert process.returncode == 130
    assert took < 2.0
    assert err.strip() == b""
    if "--json" in more:
        _lines(out)


def test_a_reader_that_goes_away_ends_it_quietly(ccrs: Command, emulator: str) -> None:
    with ccrs.start("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == b""


def test_a_reader_that_stops_costs_no_heartbeat(ccrs: Command, emulator: str) -> None:
    arguments = ("watch", "bybit", "BTC/USDT", "--base-url", emulator, "--channel", "book")
    with ccrs.start(*arguments, "--levels", "50", "--json", "--status") as process:
        assert process.stdout is not None
        process.stdout.readline()
        until, waiting = time.monotonic() + SECONDS, 0
        while waiting < 40_000:  # a pipe holds 16 writes, of which each may take 4 KiB
            assert time.monotonic() < until
            time.sleep(0.02)
            answer = fcntl.ioctl(process.stdout, termios.FIONREAD, b"\0" * 4)
            waiting = struct.unpack("i", answer)[0]
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.wait(SECONDS)
        assert time.monotonic() - began < 2.0
    assert process.returncode == 130


def test_on_a_terminal_it_is_a_table(ccrs: Command, emulator: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    arguments = ("watch", "bybit", "BTC/USDT", "ETH/USDT", "--base-url", emulator)
    del ccrs.environment["COLUMNS"]
    try:
        with ccrs.start(
            *arguments, "--connections", "3", stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            shown, until = b"", time.monotonic() + SECONDS
            while b"3 open" not in shown.replace(b"\x1b[90m", b"") or "▲".encode() not in shown:
                assert time.monotonic() < until
                shown += os.read(ours, 65_536)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # the terminal is gone with its last user
                while more := os.read(ours, 65_536):
                    shown += more
            process.wait(SECONDS)
        text = shown.decode()
        assert process.returncode == 130
        for word in ("BTC/USDT", "ETH/USDT", "bps", "p99", "wins", "0 gaps", "socket to here"):
            assert word in text
        assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text[-200:]  # the cursor is back
    finally:
        os.close(ours)


def test_what_is_silent_for_longer_than_one_likes_is_called_stale(ccrs: Command) -> None:
    with ccrs.start("emulator", "bybit", "--rate", "0.01") as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].decode()
            done = ccrs(
                *("watch", "bybit", "BTC/USDT", "--base-url", url, "--channel", "trades"),
                *("--seconds", "1.5", "--json", "--stale-after", "0.5"),
            )
        finally:
            process.terminate()
    assert done.returncode == 0, done.stderr
    assert [(e["type"], e["reason"]) for e in _lines(done.stdout)] == [("stale", "silent")]


@pytest.mark.parametrize("wanted", [("bybit", "BTC/USDT"), ("bybit:BTC/USDT", "okx:BTC/USDT")])
def test_who_watches_is_told_at_once_that_the_exchange_is_out_of_reach(
    ccrs: Command, wanted: tuple[str, str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = ccrs("watch", *wanted, "--proxy", proxy, "--seconds", "25")
    assert done.returncode == 1
    assert b"connection refused" in done.stderr
    assert b"ccrs doctor" in done.stderr
